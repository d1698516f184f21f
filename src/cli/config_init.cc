#include "cli/config_init.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/context_choice.h"
#include "config/text.h"

namespace cllm {
namespace {

constexpr int kMostRequests = 32;
// Llama 3 8B has 128 KiB a token; models with fewer parameters rarely have more.
constexpr std::int64_t kAssumedKvBytes = 128 << 10;
constexpr std::int64_t kAssumedWeights = 5LL << 30;

std::string MemorySize(std::int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.0f} MiB", mebibytes) : fmt::format("{:.1f} GiB", mebibytes / 1024);
}

}  // namespace

std::vector<ChosenValue> ChooseSettings(const MachineFacts& machine, const std::optional<ModelToServe>& model) {
  const std::int64_t weights = model ? model->size_bytes : std::min(kAssumedWeights, machine.memory_bytes / 2);
  const std::int64_t per_token = std::max<std::int64_t>(1, model ? model->kv_bytes_per_token : kAssumedKvBytes);
  const std::int64_t budget = std::max<std::int64_t>(0, machine.memory_bytes - weights) / 2;
  const std::int64_t tokens = budget / per_token;
  const int wanted = std::clamp(4 * machine.cores, kFewRequests, kMostRequests);
  const std::int64_t trained = model ? model->trained_context : 0;
  const int context = AutoContext(tokens, trained, wanted);
  const int requests = static_cast<int>(std::clamp<std::int64_t>(tokens / context, 1, wanted));

  const std::string basis =
      fmt::format("of {} free memory {} take {}, and half of the rest holds {} tokens at {} KiB each", MemorySize(machine.memory_bytes),
                  model ? "the weights" : "weights of about 8 billion parameters", MemorySize(weights), tokens, per_token >> 10);
  std::vector<ChosenValue> chosen;
  if (model) chosen.push_back({"model.path", config::Quoted(model->path), "the model that was named."});
  std::string why = basis + ".";
  if (trained > 0) why += fmt::format(" The model was trained for {} tokens.", trained);
  if (!model) why += " Name the model with --model for figures of its own.";
  chosen.push_back({"model.max_context_length", fmt::to_string(context), why});
  chosen.push_back(
      {"backend.llama_cpp.n_threads", fmt::to_string(machine.cores),
       fmt::format("this process may use {} core{} (affinity and cgroup quota).", machine.cores, machine.cores == 1 ? "" : "s")});
  chosen.push_back({"backend.llama_cpp.n_seq_max", fmt::to_string(requests),
                    fmt::format("{} requests of {} tokens take {}; {} cores serve at most {} at a time well.", requests, context,
                                MemorySize(requests * context * per_token), machine.cores, wanted)});
  return chosen;
}

}  // namespace cllm
