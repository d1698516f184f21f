// From what a user calls a model to a file in the folder of models.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/status.h"
#include "hub/catalogue.h"
#include "hub/downloader.h"
#include "hub/hugging_face.h"
#include "hub/model_folder.h"
#include "hub/observer.h"
#include "hub/patience.h"
#include "hub/reference.h"

namespace cllm {

struct PulledModel {
  std::filesystem::path file;
  bool was_there = false;  // nothing had to be fetched
};

// Whether the file is a model that may get its name; `name` is what messages call it.
using ModelCheck = std::function<Status(const std::filesystem::path& file, const std::string& name)>;

class Puller {
 public:
  // All but the folder, the hub and the check are kept by reference.
  Puller(ModelFolder folder, HuggingFace hub, ModelCheck check, Downloader& downloader, Patience& patience, PullObserver& observer)
      : folder_(std::move(folder)),
        hub_(std::move(hub)),
        check_(std::move(check)),
        downloader_(downloader),
        patience_(patience),
        observer_(observer) {}

  const ModelFolder& folder() const { return folder_; }

  // Fetches the model unless it is there. `sha256`, if given, is what the file must have, also where it is there already.
  // kNotFound for an unknown name, kCancelled where the user interrupts.
  Result<PulledModel> Pull(const ModelReference& reference, const std::string& sha256);

 private:
  // One place to fetch from, tried under the lock of the target's part.
  using Fetch = std::function<Result<ModelOrigin>(PartialFile&)>;

  Result<PulledModel> PullKnown(const KnownModel& model, const std::string& sha256);
  Result<PulledModel> PullFromRepo(const ModelReference& reference, const std::string& sha256);
  Result<PulledModel> PullFromUrl(const ModelReference& reference, const std::string& sha256);
  Result<PulledModel> PullTo(const std::filesystem::path& target, const std::string& sha256, const std::string& reference,
                             const Fetch& fetch);
  Result<ModelOrigin> FetchKnown(const KnownModel& model, const std::string& sha256, PartialFile& part);
  Result<ModelOrigin> FetchFromHub(const std::string& repo, const RepoFile& file, const std::string& sha256, bool retry_unreachable,
                                   PartialFile& part);
  Status CheckThere(const std::filesystem::path& file, const std::string& sha256) const;

  ModelFolder folder_;
  HuggingFace hub_;
  ModelCheck check_;
  Downloader& downloader_;
  Patience& patience_;
  PullObserver& observer_;
};

}  // namespace cllm
