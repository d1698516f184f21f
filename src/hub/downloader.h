// One file over HTTP, whole and checked, or an error that says why: goes on after breaks, tries again a bounded number
// of times, and never joins bytes of two contents.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/status.h"
#include "hub/file_system.h"
#include "hub/observer.h"
#include "hub/partial_file.h"
#include "hub/patience.h"
#include "hub/transport.h"

namespace cllm {

struct DownloadPolicy {
  double max_model_gb = 500;                    // GiB; what a server says or sends beyond is refused
  int retries = 4;                              // tries in a row, after the first, that bring less than kRealProgress
  std::chrono::milliseconds retry_delay{1000};  // before the first; doubled each time, up to kLongestDelay
  std::int64_t spare_disk_bytes = 16 << 20;     // left free on the disk
  // How much is free in a folder: asked before the first byte and again while bytes come.
  std::function<std::int64_t(const std::filesystem::path&)> free_bytes = &FreeBytes;

  std::int64_t MostModelBytes() const { return static_cast<std::int64_t>(max_model_gb * (std::int64_t{1} << 30)); }
};

struct DownloadRequest {
  Url url;
  std::string token;  // for the origin of `url` alone; empty: none
  std::string label;  // what people call the file
  // Known beforehand, and then it must be so: empty and -1 otherwise.
  std::string sha256;
  std::int64_t size = -1;
  // Whether to try again where no connection comes about: not worth it while there is another place to ask.
  bool retry_unreachable = true;
};

struct Downloaded {
  std::string url;       // without its query
  std::string sha256;    // of what came
  bool checked = false;  // against a sum that was known
  std::int64_t size = 0;
};

struct FetchedText {
  std::string text;
  std::string link;  // the header of this name: where further pages are
};

class Downloader {
 public:
  static constexpr std::int64_t kRealProgress = 1 << 20;
  static constexpr std::chrono::milliseconds kLongestDelay{30'000};
  static constexpr std::chrono::seconds kLongestRetryAfter{120};

  // All outlive this object.
  Downloader(HttpTransport& transport, Patience& patience, PullObserver& observer, DownloadPolicy policy)
      : transport_(transport), patience_(patience), observer_(observer), policy_(policy) {}

  // Fills the part and checks it; the part is ready for Finish then. After an error the part keeps what can be gone on
  // from, and is discarded where nothing can.
  Transfer<Downloaded> FetchFile(const DownloadRequest& request, PartialFile& part);

  // A short text, at most `limit` bytes.
  Transfer<FetchedText> FetchText(const Url& url, const std::string& token, std::size_t limit, bool retry_unreachable);

 private:
  // What decides on the next try.
  struct Tries {
    int failures = 0;
    int restarts = 0;
    std::int64_t best = 0;  // most bytes that were there
    bool resumed = false;   // bytes of an earlier run or try were kept
  };

  Transfer<void> TryOnce(const DownloadRequest& request, PartialFile& part, Tries& tries, std::string& sha256);
  Transfer<void> Check(const PartialFile& part, const std::string& sha256, const std::string& label) const;
  Transfer<void> PrepareAgain(const TransferError& error, Tries& tries, bool retry_unreachable);

  HttpTransport& transport_;
  Patience& patience_;
  PullObserver& observer_;
  DownloadPolicy policy_;
};

// "https://host/path answered 404 (Not Found)", with what the server says itself where it does.
TransferError RefusedAnswer(const HttpHead& head);

}  // namespace cllm
