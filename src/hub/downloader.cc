#include "hub/downloader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/utf8.h"
#include "hub/download_sink.h"
#include "hub/redirect.h"

namespace cllm {
namespace {

using Kind = TransferError::Kind;

constexpr int kMostRestarts = 3;
constexpr std::int64_t kLeastToKeep = 4;  // the magic has been seen
constexpr std::size_t kMostServerText = 200;

class TextSink : public BodySink {
 public:
  TextSink(const Url& url, std::size_t limit) : url_(url), limit_(limit) {}

  Transfer<void> OnHead(const HttpHead& head) override {
    if (head.status != 200) return std::unexpected(RefusedAnswer(head));
    fetched_.link = head.Header("link");
    return {};
  }
  Transfer<void> OnBody(std::string_view bytes) override {
    fetched_.text += bytes;
    if (fetched_.text.size() <= limit_) return {};
    return TransferFailed(Kind::kFinal, fmt::format("{} sends more than {} bytes", WithoutQuery(url_), limit_));
  }

  FetchedText& fetched() { return fetched_; }

 private:
  const Url& url_;
  std::size_t limit_;
  FetchedText fetched_;
};

const char* Reason(int status) {
  switch (status) {
    case 401:
      return " (unauthorised)";
    case 403:
      return " (forbidden)";
    case 404:
      return " (not found)";
    case 429:
      return " (too many requests)";
    case 500:
      return " (internal error)";
    case 502:
      return " (bad gateway)";
    case 503:
      return " (unavailable)";
    case 504:
      return " (gateway timeout)";
    default:
      return "";
  }
}

// Whether a later request can tell that it would get the same content.
bool IsRecognisable(const PartIdentity& identity) { return !identity.etag.empty() || !identity.sha256.empty(); }

bool MayChange(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

}  // namespace

TransferError RefusedAnswer(const HttpHead& head) {
  std::string message = fmt::format("{} answered {}{}", WithoutQuery(head.url), head.status, Reason(head.status));
  const std::string detail = head.Header("x-error-message");
  if (!detail.empty()) message += ": " + Escaped(WholeCharacters(detail, kMostServerText));
  TransferError error{.error = {head.status == 404 ? ErrorCode::kNotFound : ErrorCode::kUnavailable, std::move(message), {}},
                      .kind = MayChange(head.status) ? Kind::kTransient : Kind::kFinal,
                      .http_status = head.status};
  if (const std::int64_t seconds = head.Number("retry-after"); seconds >= 0) {
    error.retry_after = std::chrono::seconds(std::min<std::int64_t>(seconds, 1'000'000));
  }
  return error;
}

Transfer<Downloaded> Downloader::FetchFile(const DownloadRequest& request, PartialFile& part) {
  Tries tries{.best = part.size()};
  std::string sha256 = request.sha256;
  while (true) {
    Transfer<void> result = TryOnce(request, part, tries, sha256);
    bool damaged = false;
    if (result) {
      result = Check(part, sha256, request.label);
      damaged = !result;
    }
    if (result) {
      return Downloaded{.url = WithoutQuery(request.url), .sha256 = part.Digest(), .checked = !sha256.empty(), .size = part.size()};
    }
    // What was kept may be at fault; a fresh copy decides.
    if (damaged && tries.resumed) result.error().kind = Kind::kStartOver;
    if (result.error().kind == Kind::kStartOver) {
      if (const Status emptied = part.StartOver({}); !emptied) return std::unexpected(TransferError{emptied.error()});
      tries.resumed = false;
    }
    if (part.size() > tries.best + kRealProgress) tries.failures = 0;
    tries.best = std::max(tries.best, part.size());
    if (Transfer<void> again = PrepareAgain(result.error(), tries, request.retry_unreachable); !again) {
      if (damaged || part.size() < kLeastToKeep || !IsRecognisable(part.identity())) part.Discard();
      return std::unexpected(again.error());
    }
  }
}

// One request. Where the part can be gone on from, only the rest is asked for.
Transfer<void> Downloader::TryOnce(const DownloadRequest& request, PartialFile& part, Tries& tries, std::string& sha256) {
  const PartIdentity& kept = part.identity();
  const bool same_place = kept.url == WithoutQuery(request.url);
  const bool same_content = request.sha256.empty() || kept.sha256.empty() || kept.sha256 == request.sha256;
  const bool go_on = part.size() >= kLeastToKeep && same_place && same_content && IsRecognisable(kept);
  GetRequest get{.url = request.url, .headers = {}, .token = request.token};
  if (go_on) {
    if (const Status status = part.ReadBack(); !status) return std::unexpected(TransferError{status.error()});
    tries.resumed = true;
    if (part.size() == kept.size && !kept.sha256.empty()) {
      sha256 = kept.sha256;
      return {};
    }
    get.headers.push_back(fmt::format("Range: bytes={}-", part.size()));
    if (!kept.etag.empty()) get.headers.push_back("If-Range: " + kept.etag);
  }
  DownloadSink sink(request, policy_, part, observer_);
  Transfer<void> result = GetFollowing(transport_, get, sink);
  if (sink.began()) observer_.End();
  if (result) {
    sha256 = sink.sha256();
    if (!sink.began()) {
      return TransferFailed(Kind::kFinal, fmt::format("{} sends nothing", WithoutQuery(request.url)), ErrorCode::kInvalidArgument);
    }
    if (part.size() < sink.whole_size()) {
      return TransferFailed(Kind::kTransient,
                            fmt::format("{} broke off at {} of {} bytes", WithoutQuery(request.url), part.size(), sink.whole_size()));
    }
  }
  return result;
}

Transfer<void> Downloader::Check(const PartialFile& part, const std::string& sha256, const std::string& label) const {
  if (sha256.empty() || part.Digest() == sha256) return {};
  return TransferFailed(Kind::kFinal,
                        fmt::format("{} has SHA-256 {}, but {} is wanted: it was damaged or exchanged on the way, and is not kept", label,
                                    part.Digest(), sha256),
                        ErrorCode::kInvalidArgument);
}

// Waits before the next try, or says why there is none.
Transfer<void> Downloader::PrepareAgain(const TransferError& error, Tries& tries, bool retry_unreachable) {
  const auto give_up = [&] { return std::unexpected(error); };
  if (error.kind == Kind::kFinal || (error.kind == Kind::kUnreachable && !retry_unreachable)) return give_up();
  if (error.kind == Kind::kStartOver) {
    if (++tries.restarts > kMostRestarts) return give_up();
    observer_.Note(fmt::format("starting over: {}", error.error.message));
    return {};
  }
  if (++tries.failures > policy_.retries) return give_up();
  std::chrono::milliseconds delay = std::min(kLongestDelay, policy_.retry_delay * (1 << std::min(tries.failures - 1, 16)));
  if (error.retry_after) {
    if (*error.retry_after > kLongestRetryAfter) {
      TransferError later = error;
      later.error.message += fmt::format("; it asks to come back after {} s", error.retry_after->count());
      return std::unexpected(std::move(later));
    }
    delay = std::max<std::chrono::milliseconds>(delay, *error.retry_after);
  }
  observer_.Note(fmt::format("{}; trying again in {} s ({} of {})", error.error.message,
                             std::chrono::ceil<std::chrono::seconds>(delay).count(), tries.failures, policy_.retries));
  patience_.Wait(delay);
  if (patience_.Interrupted()) return TransferFailed(Kind::kFinal, "interrupted", ErrorCode::kCancelled);
  return {};
}

Transfer<FetchedText> Downloader::FetchText(const Url& url, const std::string& token, std::size_t limit, bool retry_unreachable) {
  Tries tries;
  while (true) {
    TextSink sink(url, limit);
    const Transfer<void> result = GetFollowing(transport_, {.url = url, .headers = {}, .token = token}, sink);
    if (result) return std::move(sink.fetched());
    if (Transfer<void> again = PrepareAgain(result.error(), tries, retry_unreachable); !again) {
      return std::unexpected(again.error());
    }
  }
}

}  // namespace cllm
