// Where a registry gets its models from: a file and an engine, or a toy of a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/backend.h"
#include "base/status.h"
#include "base/work_watch.h"
#include "models/model_lease.h"

namespace cllm {

// A model in memory. Its end ends what it computes: a backend that somebody still holds may be read, but asked for nothing.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  // What answers, as long as this object is there.
  virtual ModelLease model() const = 0;
};

class ModelSource {
 public:
  virtual ~ModelSource() = default;
  // What can be told of it without loading it; of a file that can't be read, its name.
  virtual ListedModel Look() const = 0;
  // Most bytes of resident memory that it will take while it is loaded and computes, all in all. Allocates none of them.
  virtual Result<std::int64_t> NeededBytes() = 0;
  // Seconds for a large one, after any of which `watch` may end it; then it is the watch's error.
  virtual Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) = 0;
};

// A model as it is configured.
struct ConfiguredModel {
  std::string name;
  std::vector<std::string> aliases = {};
  double keep_alive_s = 0;  // it is unloaded when it was idle for so long; 0: it stays
  bool pinned = false;      // it is never unloaded for another's sake, nor because it is idle
  bool preload = false;     // it is loaded before anybody asks for it
  std::unique_ptr<ModelSource> source = nullptr;
};

}  // namespace cllm
