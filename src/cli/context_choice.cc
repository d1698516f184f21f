#include "cli/context_choice.h"

#include <algorithm>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr int kLeastContext = 512;
// The bound of model.max_context_length; a file may claim anything.
constexpr std::int64_t kMostContext = 1 << 24;

// Of a pair of tokens: masks in 32 and 16 bits.
constexpr std::int64_t kBytesOfAPair = 6;

Result<ContextChoice> ChooseTextLength(const ServeOptions& options, const ModelFacts& model, std::int64_t available_bytes) {
  ContextChoice choice{.context = options.model.max_context_length, .kv = {.sequences = options.llama_cpp.n_seq_max}, .why = {}};
  const auto trained = static_cast<int>(std::clamp<std::int64_t>(model.trained_context, 1, kMostContext));
  if (choice.context > trained) {
    return InvalidArgument(fmt::format("the model can take texts of {} tokens at most, max_context_length is {}", trained, choice.context),
                           "model.max_context_length");
  }
  if (choice.context > 0) {
    choice.why = "the length is set";
    return choice;
  }
  const bool is_trained = choice.context == kTrainedContext;
  choice.context = is_trained ? trained : std::min(trained, kMostAutoContext);
  const auto fits = [&] { return kBytesOfAPair * choice.context * choice.context <= available_bytes / 4; };
  while (!is_trained && choice.context / 2 >= kLeastContext && !fits()) choice.context /= 2;
  choice.why = fmt::format("the model was trained for {}", trained);
  return choice;
}

}  // namespace

int AutoContext(std::int64_t tokens, std::int64_t trained, int places) {
  int context = static_cast<int>(std::min<std::int64_t>(trained > 0 ? trained : kMostAutoContext, kMostAutoContext));
  const int wanted = std::clamp(places, 1, kFewRequests);
  while (context / 2 >= kLeastContext && tokens / context < wanted) context /= 2;
  return context;
}

Result<ContextChoice> ChooseContext(const ServeOptions& options, const ModelFacts& model, std::int64_t budget_mb,
                                    std::int64_t available_bytes) {
  if (!model.generates) return ChooseTextLength(options, model, available_bytes);
  ContextChoice choice;
  choice.context = options.model.max_context_length;
  if (choice.context > 0) {
    choice.why = "the context is set";
  } else if (choice.context == kTrainedContext) {
    choice.context = static_cast<int>(std::clamp<std::int64_t>(model.trained_context, 1, kMostContext));
    choice.why = "the context is what the model was trained for";
  } else {
    // Half of what is free: the rest is for what else the machine does, prompts and their logits included.
    if (budget_mb == 0) budget_mb = std::max<std::int64_t>(1, available_bytes / 2 >> 20);
    const std::int64_t per_token = std::max<std::int64_t>(1, KvBytesPerToken(model, options.llama_cpp));
    const std::int64_t tokens = (budget_mb << 20) / per_token;
    choice.context = AutoContext(tokens, model.trained_context, options.llama_cpp.n_seq_max);
    choice.why =
        fmt::format("{} MiB may be used and hold {} tokens; the model was trained for {}", budget_mb, tokens, model.trained_context);
  }
  const auto kv = SizeKvCache(model, options.llama_cpp, choice.context, budget_mb, available_bytes);
  if (!kv) return std::unexpected(kv.error());
  choice.kv = *kv;
  return choice;
}

}  // namespace cllm
