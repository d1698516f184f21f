#include "chat/answerer.h"

#include <fmt/format.h>

namespace cllm {
namespace {

std::string Part(const char* what, std::optional<int> tokens, int timed_tokens, double seconds) {
  if (!tokens) return fmt::format("{} {:.2f} s", what, seconds);
  if (timed_tokens <= 0 || seconds <= 0) return fmt::format("{} {} tokens", what, *tokens);
  return fmt::format("{} {} tokens, {:.1f} tokens/s", what, *tokens, timed_tokens / seconds);
}

}  // namespace

std::string SpeedText(const AnswerSummary& summary) {
  const int prompt = summary.prompt_tokens.value_or(0);
  // The first token belongs to the time of the prompt.
  const int answer = summary.generated_tokens.value_or(1) - 1;
  return fmt::format("{}; {}; {:.2f} s", Part("prompt", summary.prompt_tokens, prompt, summary.prompt_s),
                     Part("answer", summary.generated_tokens, answer, summary.answer_s), summary.prompt_s + summary.answer_s);
}

// Every server words it in its own way, and all of them name the context. What is kUnavailable may name it as a part of an
// address.
bool IsContextError(const Error& error) {
  if (error.code == ErrorCode::kContextLength) return true;
  const bool is_of_the_request = error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kInternal;
  return is_of_the_request && error.message.find("context") != std::string::npos;
}

}  // namespace cllm
