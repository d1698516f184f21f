// llama.cpp as an engine. It keeps its own KV cache, one stream per sequence; its compute blocks, so Wait does the work.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/llamacpp/llamacpp_options.h"
#include "engine/llamacpp/stream_origins.h"
#include "engine/llamacpp/text_pool.h"
#include "model/model.h"

namespace cllm {

struct ModelContext;

// How many sequences of `max_context` tokens fit into the memory that the KV cache may take.
struct KvSizing {
  int sequences = 0;
  std::int64_t bytes_per_sequence = 0;
  std::int64_t budget_bytes = 0;
};

// What weights may leave of the memory limit for the KV cache, in MiB, and not more than `kv_mb`; 0 stands for "no
// limit" in all three. Fails where the weights alone exceed the limit.
Result<std::int64_t> KvBudget(std::int64_t weight_bytes, std::int64_t limit_mb, std::int64_t kv_mb);

// Of K and V, over all layers.
std::int64_t KvBytesPerToken(const ModelFacts& model, const LlamaCppOptions& options);

// Most that the engine takes beside weights and KV cache: logits and what lies between the layers, for the longest piece of a prompt.
std::int64_t ComputeBytes(const ModelFacts& model, const LlamaCppOptions& options, int sequences);

// budget_mb 0: nine tenths of the memory that is still free once the weights are resident. Fails where not even one
// sequence fits: a request's limit is never shrunk in silence.
Result<KvSizing> SizeKvCache(const ModelFacts& model, const LlamaCppOptions& options, int max_context, std::int64_t budget_mb,
                             std::int64_t available_bytes);

class LlamaCppEngine : public Engine {
 public:
  // `model` outlives the engine. Allocates KV for `sequences` × `max_context` tokens. `pooling`: of the embeddings that it gives beside.
  static Result<std::unique_ptr<Engine>> Create(const Model& model, const LlamaCppOptions& options, Pooling pooling, int sequences,
                                                int max_context);
  ~LlamaCppEngine() override;

  const EngineCapabilities& capabilities() const override { return capabilities_; }
  int compute_threads() const override;
  Status WarmUp() override;
  Ticket Submit(const StepPlan& plan) override;
  void Wait(Ticket ticket, StepResult& result) override;

 private:
  LlamaCppEngine(std::unique_ptr<ModelContext> context, std::unique_ptr<StreamOrigins> origins, Pooling pooling,
                 EngineCapabilities capabilities);

  // A step of `rows` tokens in slot 0, which it leaves empty.
  Status TrialStep(int rows);

  void Apply(const KvOperation& operation);
  // Leaves the first `tokens` of a slot.
  void Cut(int slot, int tokens);
  // Sequences of the plan, by their place in it.
  using Sequences = std::span<const std::size_t>;
  int Decode(const StepPlan& plan, Sequences sequences);
  void CollectLogits(const StepPlan& plan, Sequences sequences, StepResult& result);
  std::span<const float> LogitsBefore(int end, int count);
  void SaveLogits(Sequences sequences, StepResult& result);
  bool ComputePass(const StepPlan& plan, Sequences sequences, StepResult& result);
  // Whether all went well; if not, nothing of the result holds.
  bool ComputeTogether(const StepPlan& plan, Sequences sequences, StepResult& result);
  void ComputeOneByOne(const StepPlan& plan, Sequences sequences, StepResult& result);
  // The sequences whose embeddings are wanted, one by one.
  void Embed(const StepPlan& plan, Sequences sequences, StepResult& result);
  int ComputeText(const StepPlan& plan, const SequenceWork& work, TextPool& pool);
  // What came out for the `rows` that were computed last; false where nothing did.
  bool AddToPool(const SequenceWork& work, int rows, TextPool& pool);

  std::unique_ptr<StreamOrigins> origins_;  // the attention of the context reads it
  std::unique_ptr<ModelContext> context_;
  std::vector<TextPool> pools_;  // by slot
  EngineCapabilities capabilities_;
  const StepPlan* plan_ = nullptr;
  Ticket ticket_ = 0;
  // Of the step that is computed.
  std::vector<std::size_t> answers_;
  std::vector<std::size_t> texts_;
  // Rows of logits that a later call of the same step would overwrite, and embeddings, by sequence.
  std::vector<std::vector<float>> saved_outputs_;
};

}  // namespace cllm
