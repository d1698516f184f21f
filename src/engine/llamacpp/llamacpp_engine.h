// llama.cpp as an engine. It keeps its own KV cache, one stream per sequence; its compute blocks, so Wait does the work.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/llamacpp/processor_watch.h"
#include "engine/llamacpp/stream_origins.h"
#include "engine/llamacpp/thread_controller.h"
#include "model/model.h"

namespace cllm {

struct LlamaCppOptions {
  int n_batch = 512;                     // most tokens of a step, and so the longest prompt chunk
  int n_threads = 0;                     // compute threads; 0 = as many as are best, beside what else the machine does at the time
  int n_seq_max = 8;                     // sequences that hold KV at a time
  std::string flash_attention = "auto";  // auto | on | off
  std::string kv_type = "f16";           // f32 | f16 | bf16 | q8_0 | q4_0
  // Rotary position embedding, as llama.cpp has it.
  std::string rope_scaling = "auto";  // auto (what the file says) | none | linear | yarn
  double rope_freq_base = 0;          // 0 = what the file says
  double rope_freq_scale = 0;         // likewise
  WeightOptions weights;
};

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
  // `model` outlives the engine. Allocates KV for `sequences` × `max_context` tokens.
  static Result<std::unique_ptr<LlamaCppEngine>> Create(const Model& model, const LlamaCppOptions& options, int sequences, int max_context);
  ~LlamaCppEngine() override;

  const EngineCapabilities& capabilities() const override { return capabilities_; }
  int compute_threads() const override { return threads_; }
  Status WarmUp() override;
  Ticket Submit(const StepPlan& plan) override;
  void Wait(Ticket ticket, StepResult& result) override;

 private:
  struct Context;
  LlamaCppEngine(std::unique_ptr<Context> context, std::unique_ptr<StreamOrigins> origins, EngineCapabilities capabilities,
                 const LlamaCppOptions& options);

  // A step of `rows` tokens in slot 0, which it leaves empty.
  Status TrialStep(int rows);
  // The next steps compute with so many.
  void UseThreads(int threads);
  // Before and after a step that computes.
  void ChooseThreads();
  void LearnFrom(const StepPlan& plan);

  void Apply(const KvOperation& operation);
  // Leaves the first `tokens` of a slot.
  void Cut(int slot, int tokens);
  int Decode(const StepPlan& plan, std::size_t first, std::size_t count);
  void CollectLogits(const StepPlan& plan, std::size_t first, std::size_t count, StepResult& result);
  void SaveLogits(std::size_t first, StepResult& result);
  // Whether all went well; if not, nothing of the result holds.
  bool ComputeTogether(const StepPlan& plan, StepResult& result);
  void ComputeOneByOne(const StepPlan& plan, StepResult& result);

  std::unique_ptr<StreamOrigins> origins_;  // the attention of the context reads it
  std::unique_ptr<Context> context_;
  EngineCapabilities capabilities_;
  std::atomic<int> threads_;
  bool threads_are_open_;
  std::optional<ThreadController> controller_;  // once warm, where the threads are open
  ProcessorWatch watch_;
  const StepPlan* plan_ = nullptr;
  Ticket ticket_ = 0;
  // Rows of logits that a later call of the same step would overwrite, by sequence.
  std::vector<std::vector<float>> saved_logits_;
};

}  // namespace cllm
