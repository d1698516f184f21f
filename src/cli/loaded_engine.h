// From options to a loaded model and its engine: what `serve` and `bench engine` share.
#pragma once

#include <memory>
#include <string>

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
Status CheckModel(const std::string& path);

// Checks the file, loads it, sizes the KV cache, warms up; logs what it did. Seconds for a large model.
Result<LoadedEngine> LoadEngine(const ServeOptions& options);

}  // namespace cllm
