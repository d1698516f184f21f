// From options to a loaded model and its engine: what `serve` and `bench engine` share.
#pragma once

#include <memory>
#include <string>

#include "base/work_watch.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "model/model.h"
#include "model/pooling.h"

namespace cllm {

struct LoadedEngine {
  std::unique_ptr<Model> model;
  std::unique_ptr<Engine> engine;
  Pooling pooling = Pooling::kNone;
  std::int64_t kv_bytes_per_token = 0;
  std::string chat_template = {};  // instead of the file's; see ChatTemplateSetting
};

// Whether the file may be loaded into this process; CheckModelFile with our own program as the probe.
Status CheckModel(const std::string& path, const StopCheck& stop = {});

// Checks the file, loads it, sizes the KV cache; logs what it did. Seconds for a large model, after any of which `watch` may end it.
Result<LoadedEngine> LoadEngine(const ServeOptions& options, const WorkWatch& watch = {});

}  // namespace cllm
