#include "service/context_length.h"

#include <fmt/format.h>

namespace cllm {

const char* PromptField(const Prompt& prompt) { return std::holds_alternative<ChatPrompt>(prompt) ? "messages" : "prompt"; }

Error ContextLengthError(const Prompt& prompt, std::int64_t tokens, int max_context, bool at_least) {
  const char* field = PromptField(prompt);
  // litellm and langchain-openai know the error by "maximum context length" and by "prompt is too long"; Claude Code shortens its
  // conversation by what stands behind that.
  // "N of N" would look as if it fitted.
  const char* room = tokens == max_context ? ", which leaves no room for an answer" : "";
  return {.code = ErrorCode::kContextLength,
          .message = fmt::format("This model's maximum context length is {} tokens. However, your {} resulted in {}{} tokens{}. "
                                 "Please reduce the length of the {}: the prompt is too long: {} tokens > {} maximum.",
                                 max_context, field, at_least ? "at least " : "", tokens, room, field, tokens,
                                 *room == '\0' ? max_context : max_context - 1),
          .field = field};
}

}  // namespace cllm
