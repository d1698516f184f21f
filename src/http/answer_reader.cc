#include "http/answer_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace cllm {
namespace {

std::unexpected<Error> NoAnswer(const char* why) { return Fail(ErrorCode::kInternal, std::string("an answer that can't be read: ") + why); }

Result<std::size_t> NumberOf(std::string_view digits, int base) {
  std::size_t number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (failed != std::errc() || end != digits.data() + digits.size()) return NoAnswer("a length");
  return number;
}

}  // namespace

std::string_view AnswerReader::Header(std::string_view name) const {
  const auto found = std::ranges::find(headers_, name, [](const auto& header) -> std::string_view { return header.first; });
  return found == headers_.end() ? std::string_view() : std::string_view(found->second);
}

Status AnswerReader::Add(std::string_view bytes) {
  pending_ += bytes;
  while (true) {
    const Result<bool> goes_on = Step();
    if (!goes_on) return std::unexpected(goes_on.error());
    if (!*goes_on) break;
  }
  pending_.erase(0, std::exchange(begin_, 0));
  return {};
}

// Whether there may be more to do with what has come.
Result<bool> AnswerReader::Step() {
  std::string line;
  switch (state_) {
    case State::kHead:
      return ReadHead();
    case State::kBody: {
      const std::size_t count = std::min(left_, pending_.size() - begin_);
      body_.append(pending_, begin_, count);
      begin_ += count;
      left_ -= count;
      if (left_ == 0) state_ = State::kEnd;
      return false;
    }
    case State::kChunkSize:
      return ReadChunkSize();
    case State::kChunk:
      if (pending_.size() - begin_ < left_) return false;
      body_.append(pending_, begin_, left_);
      begin_ += left_;
      state_ = State::kChunkEnd;
      return true;
    case State::kChunkEnd:
      if (!TakeLine(line)) return false;
      if (!line.empty()) return NoAnswer("a chunk's end");
      state_ = State::kChunkSize;
      return true;
    case State::kTrailer:
      if (!TakeLine(line)) return false;
      if (line.empty()) state_ = State::kEnd;
      return true;
    case State::kEnd:
      break;
  }
  return begin_ == pending_.size() ? Result<bool>(false) : NoAnswer("more than an answer");
}

bool AnswerReader::TakeLine(std::string& line) {
  const std::size_t end = pending_.find("\r\n", begin_);
  if (end == std::string::npos) return false;
  line = pending_.substr(begin_, end - begin_);
  begin_ = end + 2;
  return true;
}

Result<bool> AnswerReader::ReadHead() {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (pending_.find("\r\n\r\n", begin_) == std::string::npos) {
    if (pending_.size() - begin_ > kMostHeadBytes) return NoAnswer("its head is too long");
    return false;
  }
  std::string line;
  TakeLine(line);
  if (!line.starts_with(kVersion) || line.size() < kVersion.size() + 3) return NoAnswer("its first line");
  const auto status = NumberOf(std::string_view(line).substr(kVersion.size(), 3), 10);
  if (!status) return std::unexpected(status.error());
  while (TakeLine(line) && !line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) return NoAnswer("a header");
    std::string name = line.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    headers_.emplace_back(std::move(name), line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size())));
  }
  // What is said on the way to an answer.
  if (*status < 200) {
    headers_.clear();
    return true;
  }
  status_ = static_cast<int>(*status);
  is_stream_ = Header("transfer-encoding") == "chunked";
  if (is_stream_) {
    state_ = State::kChunkSize;
  } else {
    const std::string_view length = Header("content-length");
    const auto bytes = length.empty() ? Result<std::size_t>(0) : NumberOf(length, 10);
    if (!bytes) return std::unexpected(bytes.error());
    left_ = *bytes;
    state_ = State::kBody;
  }
  if (!has_body_) state_ = State::kEnd;
  return true;
}

Result<bool> AnswerReader::ReadChunkSize() {
  std::string line;
  if (!TakeLine(line)) return false;
  const auto size = NumberOf(std::string_view(line).substr(0, line.find(';')), 16);
  if (!size) return std::unexpected(size.error());
  if (*size > kMostChunkBytes) return NoAnswer("a chunk's length");
  left_ = *size;
  state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  return true;
}

}  // namespace cllm
