#include "cli/model_plan.h"

#include <algorithm>

#include "cli/context_choice.h"
#include "cli/model_memory.h"
#include "formats/gguf_file.h"
#include "model/layer_memory.h"
#include "model/model_facts.h"

namespace cllm {
namespace {

// `weights`: as WeightMemory has it.
Result<ContextChoice> ChooseWithin(const ServeOptions& options, const ModelFacts& facts, std::int64_t weights, std::int64_t limit_mb) {
  const std::int64_t beside = ComputeBytes(facts, options.llama_cpp, options.llama_cpp.n_seq_max);
  const auto budget = KvBudget(weights + (limit_mb > 0 ? beside : 0), limit_mb, options.kv_cache_max_memory_mb);
  if (!budget) return std::unexpected(budget.error());
  const LayerMemory memory =
      FindLayerMemory(options.llama_cpp.weights, static_cast<int>(std::clamp<std::int64_t>(facts.layers, 1, 1 << 16)));
  return ChooseContext(options, facts, *budget, memory.available_bytes());
}

}  // namespace

Result<ModelPlan> PlanModel(const ServeOptions& options, std::int64_t share_mb) {
  const auto file = GgufFile::Open(options.model.path);
  if (!file) return std::unexpected(file.error());
  const auto facts = ReadModelFacts(*file);
  if (!facts) return std::unexpected(facts.error());
  if (Status status = CheckModelMetadata(*file); !status) return std::unexpected(status.error());
  const std::int64_t weights = WeightMemory(*file, options.llama_cpp.weights);
  auto choice = ChooseWithin(options, *facts, weights, share_mb);
  if (!choice) choice = ChooseWithin(options, *facts, weights, options.memory_limit_mb);
  if (!choice) return std::unexpected(choice.error());
  ModelPlan plan{.options = options};
  plan.options.model.max_context_length = choice->context;
  plan.options.llama_cpp.n_seq_max = choice->kv.sequences;
  plan.options.memory_limit_mb = 0;  // it is kept by whoever asked
  plan.bytes =
      weights + choice->kv.sequences * choice->kv.bytes_per_sequence + ComputeBytes(*facts, plan.options.llama_cpp, choice->kv.sequences);
  return plan;
}

}  // namespace cllm
