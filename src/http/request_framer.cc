#include "http/request_framer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr std::size_t kMostMethodBytes = 32;
constexpr std::size_t kMostChunkLineBytes = 1 << 10;  // size and extensions
constexpr std::size_t kMostLengthDigits = 18;         // fits into 64 bits
constexpr char kTlsHandshake = 0x16;

bool IsTokenByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("!#$%&'*+-.^_`|~").contains(c); }
bool IsToken(std::string_view text) { return !text.empty() && std::ranges::all_of(text, IsTokenByte); }
bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::unexpected<Refusal> Refuse(int status, std::string message, ErrorCode code = ErrorCode::kInvalidArgument) {
  return std::unexpected(Refusal{status, Error{code, std::move(message), {}}});
}

// %xx with two digits each, and no encoded zero byte.
bool HasGoodEscapes(std::string_view target) {
  for (std::size_t at = 0; (at = target.find('%', at)) != std::string_view::npos; at += 3) {
    const std::string_view digits = target.substr(at + 1, 2);
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    if (digits.size() < 2 || !std::ranges::all_of(digits, is_hex) || digits == "00") return false;
  }
  return true;
}

// Fields about this one hop, which CanonicalHead says in its own way or leaves out.
bool IsOfTheConnection(std::string_view name) {
  constexpr std::array<std::string_view, 10> kNames = {"connection",        "content-length",   "expect", "http2-settings",
                                                       "keep-alive",        "proxy-connection", "te",     "trailer",
                                                       "transfer-encoding", "upgrade"};
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace

std::string_view RequestHead::Find(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &HttpField::name);
  return found == fields.end() ? std::string_view() : std::string_view(found->value);
}

bool RequestHead::HasToken(std::string_view name, std::string_view token) const {
  for (const HttpField& field : fields) {
    if (field.name != name) continue;
    const std::string list = Lower(field.value);
    for (std::size_t at = 0; at <= list.size();) {
      const std::size_t end = std::min(list.find(',', at), list.size());
      if (Trimmed(std::string_view(list).substr(at, end - at)) == token) return true;
      at = end + 1;
    }
  }
  return false;
}

bool RequestHead::ends_connection() const {
  return HasToken("connection", "close") || (is_http_1_0 && !HasToken("connection", "keep-alive"));
}

void RequestFramer::Reset() {
  state_ = State::kStartLine;
  head_ = {};
  std::string().swap(body_);  // an assignment would keep its memory
  keeps_body_ = true;
  body_size_ = scanned_ = head_size_ = left_ = 0;
}

void RequestFramer::SetField(std::string_view name, std::string value) {
  std::erase_if(head_.fields, [&](const HttpField& field) { return field.name == name; });
  head_.fields.push_back({std::string(name), std::move(value)});
}

bool RequestFramer::wants_continue() const {
  const bool has_body = state_ == State::kChunkSize || (state_ == State::kBody && left_ > 0);
  return has_body && body_size_ == 0 && !head_.is_http_1_0 && Lower(head_.Find("expect")) == "100-continue";
}

std::expected<RequestFramer::Progress, Refusal> RequestFramer::Advance(std::string_view& bytes) {
  while (state_ != State::kDone) {
    const bool was_head = state_ == State::kFields;
    Step step = true;
    switch (state_) {
      case State::kBody:
      case State::kChunkData:
        step = TakeBody(bytes);
        break;
      case State::kChunkEnd:
        step = TakeChunkEnd(bytes);
        break;
      default:
        step = ReadLine(bytes);
        if (!step || !*step) break;
        if (state_ == State::kStartLine)
          step = OnStartLine();
        else if (state_ == State::kFields)
          step = line_.empty() ? OnHeadEnd() : OnField();
        else if (state_ == State::kChunkSize)
          step = OnChunkSize();
        else if (line_.empty())
          state_ = State::kDone;  // trailers are read and forgotten
    }
    if (!step) return std::unexpected(std::move(step.error()));
    if (!*step) return Progress::kNeedsMore;
    if (was_head && state_ != State::kFields) return Progress::kHeadRead;
  }
  return Progress::kComplete;
}

std::size_t RequestFramer::LineLimit() const {
  if (state_ == State::kStartLine) return std::min(limits_.head_bytes, limits_.target_bytes + kMostMethodBytes);
  if (state_ == State::kChunkSize) return kMostChunkLineBytes;
  return limits_.head_bytes;
}

Refusal RequestFramer::TargetTooLong() const {
  return {414, {ErrorCode::kTooLarge, fmt::format("the URL has more than {} bytes", limits_.target_bytes), {}}};
}

Refusal RequestFramer::LineTooLong() const {
  if (state_ == State::kStartLine && scanned_ >= LineLimit()) return TargetTooLong();
  if (state_ == State::kChunkSize) return {400, {ErrorCode::kInvalidArgument, "the line of a chunk's size is too long", {}}};
  return {431, {ErrorCode::kTooLarge, fmt::format("the request's head has more than {} bytes", limits_.head_bytes), {}}};
}

// Moves the next line to line_. Control characters are refused as they come, so that nobody waits for the end of
// garbage.
RequestFramer::Step RequestFramer::ReadLine(std::string_view& bytes) {
  for (; scanned_ < bytes.size(); ++scanned_) {
    const char c = bytes[scanned_];
    const bool after_return = scanned_ > 0 && bytes[scanned_ - 1] == '\r';
    if (after_return != (c == '\n')) return Refuse(400, "lines must end with CR LF, and neither may stand alone");
    if (head_size_ == 0 && c == kTlsHandshake) return Refuse(400, "this looks like TLS, but the port speaks plain HTTP");
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7F) {
      return Refuse(400, "the request holds a control character outside of its body");
    }
    if (++head_size_ > limits_.head_bytes || scanned_ >= LineLimit()) return std::unexpected(LineTooLong());
    if (c != '\n') continue;
    line_.assign(bytes.substr(0, scanned_ - 1));
    bytes.remove_prefix(scanned_ + 1);
    scanned_ = 0;
    return true;
  }
  return false;
}

RequestFramer::Step RequestFramer::OnStartLine() {
  if (line_.empty()) return true;  // after a body some clients send a line end too many
  const std::string_view line = line_;
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || line.find(' ', second + 1) != std::string_view::npos || line.contains('\t')) {
    return Refuse(400, "the first line must be METHOD PATH HTTP/1.1, with one blank between them");
  }
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool is_http = version.size() == 8 && version.starts_with("HTTP/");
    return Refuse(is_http ? 505 : 400, is_http ? "this server speaks HTTP/1.1 and HTTP/1.0" : "the first line must end with HTTP/1.1");
  }
  head_.is_http_1_0 = version == "HTTP/1.0";
  head_.method = line.substr(0, first);
  if (!IsToken(head_.method)) return Refuse(400, "the method is not a word");
  constexpr std::array<std::string_view, 7> kMethods = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
  Step target = SetTarget(line.substr(first + 1, second - first - 1));
  if (std::ranges::find(kMethods, std::string_view(head_.method)) == kMethods.end()) {
    return Refuse(405, "this server does not know the method", ErrorCode::kMethodNotAllowed);
  }
  if (!target) return target;
  state_ = State::kFields;
  return true;
}

// Takes "/path", "http://host/path" and OPTIONS's "*".
RequestFramer::Step RequestFramer::SetTarget(std::string_view target) {
  if (target.size() > limits_.target_bytes) return std::unexpected(TargetTooLong());
  const std::size_t scheme_end = target.find("://");
  const std::string scheme = Lower(target.substr(0, scheme_end));
  if (scheme == "http" || scheme == "https") {
    if (scheme_end == std::string_view::npos) return Refuse(400, "the path must begin with /");
    const std::string_view rest = target.substr(scheme_end + 3);
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    if (authority_end == 0) return Refuse(400, "the URL has no host");
    target = rest.substr(authority_end);
    head_.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  } else {
    head_.target = target;
  }
  if (head_.target == "*" && head_.method == "OPTIONS") return true;
  if (!head_.target.starts_with('/')) return Refuse(400, "the path must begin with /");
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) > 0x7E || c == '#'; };
  if (std::ranges::any_of(head_.target, is_bad)) return Refuse(400, "the path holds bytes that have to be escaped as %xx");
  if (!HasGoodEscapes(head_.target)) return Refuse(400, "the path holds a wrong %xx escape");
  return true;
}

RequestFramer::Step RequestFramer::OnField() {
  const std::size_t colon = line_.find(':');
  if (colon == std::string::npos || !IsToken(std::string_view(line_).substr(0, colon))) {
    return Refuse(400, "a header must be NAME: VALUE on one line, without blanks in or after its name");
  }
  if (head_.fields.size() == limits_.fields) {
    return Refuse(431, fmt::format("the request has more than {} headers", limits_.fields), ErrorCode::kTooLarge);
  }
  head_.fields.push_back(
      {Lower(std::string_view(line_).substr(0, colon)), std::string(Trimmed(std::string_view(line_).substr(colon + 1)))});
  return true;
}

// Decides how the body is delimited. Whatever is not plain is refused: it is how requests are smuggled past a proxy.
RequestFramer::Step RequestFramer::OnHeadEnd() {
  const auto count = [this](std::string_view name) { return std::ranges::count(head_.fields, name, &HttpField::name); };
  if (count("host") > 1 || (count("host") == 0 && !head_.is_http_1_0)) return Refuse(400, "the request needs one Host header");
  const auto lengths = count("content-length");
  const auto encodings = count("transfer-encoding");
  if (lengths > 1) return Refuse(400, "the request has more than one Content-Length");
  if (lengths > 0 && encodings > 0) return Refuse(400, "the request has both a Content-Length and a Transfer-Encoding");
  if (encodings > 0 && head_.is_http_1_0) return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  if (encodings > 1 || (encodings == 1 && Lower(head_.Find("transfer-encoding")) != "chunked")) {
    return Refuse(501, "the only Transfer-Encoding that this server knows is chunked");
  }
  if (count("expect") > 0 && Lower(head_.Find("expect")) != "100-continue") {
    return Refuse(417, "the only expectation that this server knows is 100-continue");
  }
  head_size_ = 1;  // begun; from here on it counts what is read of chunk sizes and trailers
  if (encodings == 1) {
    state_ = State::kChunkSize;
    return true;
  }
  state_ = State::kBody;
  if (lengths == 0) return true;
  return SetContentLength(head_.Find("content-length"));
}

RequestFramer::Step RequestFramer::SetContentLength(std::string_view text) {
  if (!IsDigits(text)) return Refuse(400, "Content-Length must be a number of bytes in decimal digits");
  std::size_t length = 0;
  const bool fits = text.size() <= kMostLengthDigits;
  if (fits) std::from_chars(text.data(), text.data() + text.size(), length);
  if (!fits || length > limits_.body_bytes) {
    return Refuse(413, fmt::format("the body has {} bytes, more than the {}", text.substr(0, 30), limits_.body_text), ErrorCode::kTooLarge);
  }
  left_ = length;
  return length == 0 ? Step(true) : CheckMayHaveBody();
}

// Nobody would read it, and some readers take it for the next request.
RequestFramer::Step RequestFramer::CheckMayHaveBody() const {
  if (head_.method != "GET" && head_.method != "HEAD") return true;
  return Refuse(400, fmt::format("a {} request has no body: what it asks for stands in its URL", head_.method));
}

RequestFramer::Step RequestFramer::TakeBody(std::string_view& bytes) {
  const std::size_t taken = std::min(left_, bytes.size());
  if (keeps_body_) body_.append(bytes.substr(0, taken));
  body_size_ += taken;
  bytes.remove_prefix(taken);
  left_ -= taken;
  if (left_ > 0) return false;
  state_ = state_ == State::kBody ? State::kDone : State::kChunkEnd;
  return true;
}

RequestFramer::Step RequestFramer::OnChunkSize() {
  head_size_ = 1;  // each line has a limit of its own
  const std::string_view line = line_;
  const std::string_view digits = line.substr(0, line.find(';'));
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  const bool is_number = !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
  if (!is_number && error != std::errc::result_out_of_range) {
    return Refuse(400, "the size of a chunk must be in hexadecimal digits");
  }
  if (error == std::errc::result_out_of_range || size > limits_.body_bytes - body_size_) {
    return Refuse(413, fmt::format("the body has more than the {}", limits_.body_text), ErrorCode::kTooLarge);
  }
  left_ = size;
  state_ = size > 0 ? State::kChunkData : State::kTrailers;
  return size == 0 ? Step(true) : CheckMayHaveBody();
}

RequestFramer::Step RequestFramer::TakeChunkEnd(std::string_view& bytes) {
  if (bytes.size() < 2) return false;
  if (!bytes.starts_with("\r\n")) return Refuse(400, "a chunk is longer than its size says");
  bytes.remove_prefix(2);
  state_ = State::kChunkSize;
  return true;
}

std::string RequestFramer::CanonicalHead() const {
  std::string text = fmt::format("{} {} HTTP/1.{}\r\n", head_.method, head_.target == "*" ? "/" : head_.target, head_.is_http_1_0 ? 0 : 1);
  for (const HttpField& field : head_.fields) {
    if (!IsOfTheConnection(field.name)) text += fmt::format("{}: {}\r\n", field.name, field.value);
  }
  if (head_.ends_connection()) {
    text += "connection: close\r\n";
  } else if (head_.is_http_1_0) {
    text += "connection: keep-alive\r\n";
  }
  return text + "content-length: 0\r\n\r\n";
}

}  // namespace cllm
