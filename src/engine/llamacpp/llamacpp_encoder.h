// A model whose tokens see all others of their text, through llama.cpp: it gives embeddings, or says how well a text answers a question.
//
// Each text is computed in a call of its own. What llama.cpp computes together has one mask, and where in it a text stands decides in which
// order its attention is summed: alone, a text has the same bytes whatever else is asked for. Nothing is kept between texts.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/llamacpp/llamacpp_options.h"
#include "engine/llamacpp/text_pool.h"
#include "model/model.h"

namespace cllm {

struct ModelContext;

class LlamaCppEncoder : public Engine {
 public:
  // `model` outlives the engine. Texts have at most `max_context` tokens, and `texts` of them are in a step.
  static Result<std::unique_ptr<Engine>> Create(const Model& model, const LlamaCppOptions& options, Pooling pooling, int texts,
                                                int max_context);
  ~LlamaCppEncoder() override;

  const EngineCapabilities& capabilities() const override { return capabilities_; }
  int compute_threads() const override;
  Status WarmUp() override;
  Ticket Submit(const StepPlan& plan) override;
  void Wait(Ticket ticket, StepResult& result) override;

 private:
  LlamaCppEncoder(std::unique_ptr<ModelContext> context, Pooling pooling, EngineCapabilities capabilities);

  Result<std::vector<float>> Embed(std::span<const TokenId> text);

  std::unique_ptr<ModelContext> context_;
  TextPool pool_;
  EngineCapabilities capabilities_;
  const StepPlan* plan_ = nullptr;
  Ticket ticket_ = 0;
  std::vector<std::vector<float>> embeddings_;  // of the last step, by sequence
};

}  // namespace cllm
