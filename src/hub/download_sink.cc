#include "hub/download_sink.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/escape.h"
#include "hub/file_system.h"
#include "hub/progress.h"
#include "hub/sha256.h"

namespace cllm {
namespace {

using Kind = TransferError::Kind;

constexpr std::string_view kMagic = "GGUF";
// The disk is looked at again after each of these: others write to it, too.
constexpr std::int64_t kDiskCheckBytes = 1 << 20;

// Only a strong validator promises the same bytes (RFC 9110, 13.1.5).
std::string StrongEtag(const HttpHead& head) {
  std::string etag = head.Header("etag");
  const bool strong = etag.size() > 2 && etag.size() < 300 && etag.starts_with('"') && etag.ends_with('"');
  return strong ? etag : std::string();
}

// Hugging Face's etag of a large file is its SHA-256 in quotes.
std::string LinkedSha256(const HttpHead& head) {
  std::string text = head.Header("x-linked-etag");
  std::erase(text, '"');
  return NormalisedSha256(text);
}

struct Range {
  std::int64_t first = -1;
  std::int64_t whole = -1;  // -1: "*"
};

// "bytes 100-199/200"
std::optional<Range> ParseContentRange(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  Range range;
  const auto number = [](std::string_view digits) {
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : -1;
  };
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos) return std::nullopt;
  range.first = number(text.substr(0, dash));
  range.whole = number(text.substr(slash + 1));
  return range;
}

std::unexpected<TransferError> StartOver(const DownloadRequest& request, std::string_view why) {
  return TransferFailed(Kind::kStartOver, fmt::format("{} {}", WithoutQuery(request.url), why));
}

std::unexpected<TransferError> Wrong(std::string message) {
  return TransferFailed(Kind::kFinal, std::move(message), ErrorCode::kInvalidArgument);
}

}  // namespace

Transfer<void> DownloadSink::OnHead(const HttpHead& head) {
  if (head.status == 200 || head.status == 206) {
    // A server that changes the encoding of its own accord says the size of that, not of the file.
    const bool as_it_is = head.Header("content-encoding").empty() || head.Header("content-encoding") == "identity";
    if (!as_it_is) return Wrong(fmt::format("{} sends a packed body, which was not asked for", WithoutQuery(head.url)));
    return head.status == 200 ? OnWhole(head) : OnRest(head);
  }
  if (head.status == 416) return StartOver(request_, "has fewer bytes now than were fetched");
  return std::unexpected(RefusedAnswer(head));
}

// The whole file, whether it was asked for or the server does not know ranges or has another content now.
Transfer<void> DownloadSink::OnWhole(const HttpHead& head) {
  if (auto status = CheckAnnounced(head, head.Number("content-length")); !status) return status;
  if (auto status = CheckRoom(); !status) return status;
  fresh_ = PartIdentity{.url = WithoutQuery(request_.url), .etag = StrongEtag(head), .size = whole_size_, .sha256 = sha256_};
  return {};
}

Transfer<void> DownloadSink::OnRest(const HttpHead& head) {
  const auto range = ParseContentRange(head.Header("content-range"));
  const PartIdentity& identity = part_.identity();
  if (!range || range->first != part_.size()) return StartOver(request_, "sends another range than was asked for");
  if (range->whole >= 0 && identity.size >= 0 && range->whole != identity.size) return StartOver(request_, "has another size now");
  const std::string etag = StrongEtag(head);
  if (!etag.empty() && !identity.etag.empty() && etag != identity.etag) return StartOver(request_, "has changed");
  if (auto status = CheckAnnounced(head, range->whole); !status) return status;
  if (identity.size >= 0) whole_size_ = identity.size;
  if (!sha256_.empty() && !identity.sha256.empty() && sha256_ != identity.sha256) return StartOver(request_, "has changed");
  if (sha256_.empty()) sha256_ = identity.sha256;
  if (auto status = CheckRoom(); !status) return status;
  Begin();
  return {};
}

// What the server says about the whole file (`size` is -1 where it doesn't) against what is known of it.
Transfer<void> DownloadSink::CheckAnnounced(const HttpHead& head, std::int64_t size) {
  const std::string linked = LinkedSha256(head);
  if (!request_.sha256.empty() && !linked.empty() && linked != request_.sha256) {
    return Wrong(
        fmt::format("{} has SHA-256 {} at {}, but {} is wanted", request_.label, linked, WithoutQuery(request_.url), request_.sha256));
  }
  sha256_ = !request_.sha256.empty() ? request_.sha256 : linked;
  const std::int64_t wanted = request_.size >= 0 ? request_.size : head.Number("x-linked-size");
  whole_size_ = std::max(size, wanted);
  if (size >= 0 && wanted >= 0 && size != wanted) {
    return Wrong(fmt::format("{} sends {} bytes of {}, which has {}", WithoutQuery(head.url), size, request_.label, wanted));
  }
  return {};
}

// Before the first byte: whether the file may come, as far as its size is known.
Transfer<void> DownloadSink::CheckRoom() const {
  if (whole_size_ < 0) return CheckDisk(kDiskCheckBytes);
  if (auto status = CheckSize(whole_size_); !status) return status;
  return CheckDisk(whole_size_ - part_.size());
}

Transfer<void> DownloadSink::CheckSize(std::int64_t size) const {
  const std::int64_t most = policy_.MostModelBytes();
  if (size <= most) return {};
  return TransferFailed(Kind::kFinal,
                        fmt::format("{} has {}{}, but hub.max_model_gb allows {}: a larger one needs --max-model-gb", request_.label,
                                    size == whole_size_ ? "" : "at least ", FormatBytes(size), FormatBytes(most)),
                        ErrorCode::kTooLarge);
}

Transfer<void> DownloadSink::CheckDisk(std::int64_t more) const {
  const std::filesystem::path folder = part_.target().parent_path();
  const std::int64_t free_bytes = policy_.free_bytes(folder);
  if (more <= 0 || free_bytes - policy_.spare_disk_bytes >= more) return {};
  return TransferFailed(
      Kind::kFinal,
      fmt::format("{} needs {} more, but {} has only {} free, of which {} are left alone: make room, or set "
                  "XDG_CACHE_HOME to another disk",
                  request_.label, FormatBytes(more), folder.string(), FormatBytes(free_bytes), FormatBytes(policy_.spare_disk_bytes)),
      ErrorCode::kTooLarge);
}

// Before bytes that make the part `size` bytes long: nobody has to have said how many there will be.
Transfer<void> DownloadSink::CheckGrowth(std::int64_t size) {
  if (whole_size_ >= 0 && size > whole_size_) return StartOver(request_, "sends more bytes than it said");
  if (auto status = CheckSize(size); !status) {
    // It would never be whole.
    if (const Status emptied = part_.StartOver({}); !emptied) return std::unexpected(TransferError{emptied.error()});
    return status;
  }
  if (size - disk_checked_at_ < kDiskCheckBytes) return {};
  disk_checked_at_ = size;
  return CheckDisk(std::max(whole_size_, size) - part_.size());
}

void DownloadSink::Begin() {
  began_ = true;
  disk_checked_at_ = part_.size();
  observer_.Begin(request_.label, part_.size(), whole_size_);
}

// An error page with status 200 is the commonest wrong content: it ends after its first bytes.
Transfer<void> DownloadSink::CheckMagic() const {
  if (first_bytes_.starts_with(kMagic)) return {};
  const std::string shown = Escaped(first_bytes_.substr(0, kMagic.size()));
  return Wrong(fmt::format("what {} sends is no GGUF file: it begins with \"{}\"", WithoutQuery(request_.url), shown));
}

Transfer<void> DownloadSink::Append(std::string_view bytes) {
  if (auto status = CheckGrowth(part_.size() + static_cast<std::int64_t>(bytes.size())); !status) return status;
  if (const Status status = part_.Append(bytes); !status) return std::unexpected(TransferError{status.error()});
  return {};
}

Transfer<void> DownloadSink::OnBody(std::string_view bytes) {
  if (!fresh_) return Append(bytes);
  first_bytes_ += bytes;
  if (first_bytes_.size() < kMagic.size()) return {};
  if (auto status = CheckMagic(); !status) return status;
  if (const Status status = part_.StartOver(*fresh_); !status) return std::unexpected(TransferError{status.error()});
  fresh_.reset();
  Begin();
  return Append(first_bytes_);
}

void DownloadSink::OnTick() {
  if (began_) observer_.Progress(part_.size(), whole_size_);
}

}  // namespace cllm
