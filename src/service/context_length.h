// A prompt that does not fit into the context, in the words that clients look for.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "service/generation.h"

namespace cllm {

// The request's field that holds the prompt.
const char* PromptField(const Prompt& prompt);

// The prompt has `tokens` tokens (`at_least`: or more, it was not cut into tokens to its end) and leaves no room for an answer
// in a context of `max_context`. The sentence is OpenAI's: litellm and langchain tell by it, and by the code, what happened.
Error ContextLengthError(const Prompt& prompt, std::int64_t tokens, int max_context, bool at_least = false);

}  // namespace cllm
