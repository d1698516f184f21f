// Decides on the head of an answer whether its bytes may go into the part, and puts them there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hub/downloader.h"

namespace cllm {

class DownloadSink : public BodySink {
 public:
  DownloadSink(const DownloadRequest& request, const DownloadPolicy& policy, PartialFile& part, PullObserver& observer)
      : request_(request), policy_(policy), part_(part), observer_(observer) {}

  Transfer<void> OnHead(const HttpHead& head) override;
  Transfer<void> OnBody(std::string_view bytes) override;
  void OnTick() override;

  // Of the whole file, from the request or the server; empty where nobody said it.
  const std::string& sha256() const { return sha256_; }
  std::int64_t whole_size() const { return whole_size_; }  // -1 where nobody said it
  bool began() const { return began_; }                    // bytes of a model have come, or may follow

 private:
  Transfer<void> OnWhole(const HttpHead& head);
  Transfer<void> OnRest(const HttpHead& head);
  Transfer<void> CheckAnnounced(const HttpHead& head, std::int64_t size);
  Transfer<void> CheckRoom() const;
  Transfer<void> CheckSize(std::int64_t size) const;
  Transfer<void> CheckDisk(std::int64_t more) const;
  Transfer<void> CheckGrowth(std::int64_t size);
  Transfer<void> CheckMagic() const;
  Transfer<void> Append(std::string_view bytes);
  void Begin();

  const DownloadRequest& request_;
  const DownloadPolicy& policy_;
  PartialFile& part_;
  PullObserver& observer_;
  std::string sha256_;
  std::int64_t whole_size_ = -1;
  std::int64_t disk_checked_at_ = 0;  // bytes of the part
  // Of a whole file that is to take the place of what is kept, once its first bytes look like one: a log-in page of the
  // network must not cost a part of gigabytes.
  std::optional<PartIdentity> fresh_;
  std::string first_bytes_;
  bool began_ = false;
};

}  // namespace cllm
