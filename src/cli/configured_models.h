// From settings to the models of a server: each a file that can be loaded.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/response_store.h"
#include "cli/model_process.h"
#include "cli/options.h"
#include "models/model_source.h"
#include "service/step_turns.h"

namespace cllm {

// What all models of a server share; outlives them.
struct SharedByModels {
  std::string version;
  std::function<void()> on_step_sent;
  std::shared_ptr<ResponseStore> kept_responses;
  StepTurns* turns;              // of their engines, where there are several
  const PrivateFolder* sockets;  // of their processes, where they have some
};

// The models of models.list_file, or the one of model.path. Files that are to be pulled are pulled.
Result<std::vector<ConfiguredModel>> ConfigureModels(const ServeOptions& options, const SharedByModels& shared);

}  // namespace cllm
