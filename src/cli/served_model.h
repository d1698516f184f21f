// A model that answers: its file, text, engine and service, built in one place.
#pragma once

#include <functional>
#include <memory>

#include "cli/loaded_engine.h"
#include "cli/options.h"
#include "service/model_text.h"
#include "service/service.h"

namespace cllm {

// Owns all that a request passes on its way from text to text, for `serve` and for a chat in process.
class ServedModel {
 public:
  // Loads the model and warms its engine up: seconds for a large one, after any of which `watch` may end it. `on_step_sent` and `turns`
  // are for the service.
  static Result<std::unique_ptr<ServedModel>> Create(const ServeOptions& options, std::function<void()> on_step_sent,
                                                     StepTurns* turns = nullptr, const WorkWatch& watch = {});
  ServedModel(const ServedModel&) = delete;
  ServedModel& operator=(const ServedModel&) = delete;

  const ModelFacts& facts() const { return loaded_.model->facts(); }
  const Tokenizer& tokenizer() const { return loaded_.model->tokenizer(); }
  const EngineCapabilities& engine() const { return loaded_.engine->capabilities(); }
  std::int64_t kv_bytes_per_token() const { return loaded_.kv_bytes_per_token; }
  Pooling pooling() const { return loaded_.pooling; }
  Service& service() { return *service_; }

 private:
  ServedModel(LoadedEngine loaded, std::unique_ptr<ModelText> text) : loaded_(std::move(loaded)), text_(std::move(text)) {}

  // Each uses those before it.
  LoadedEngine loaded_;
  std::unique_ptr<ModelText> text_;
  std::unique_ptr<GrammarCompiler> grammars_;
  std::unique_ptr<Service> service_;
};

}  // namespace cllm
