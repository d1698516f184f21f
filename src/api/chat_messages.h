// The fields of a request that become a chat's prompt: messages, and what its template is told.
#pragma once

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

// messages, chat_template_kwargs, reasoning_effort (OpenAI), reasoning (OpenRouter), thinking (DeepSeek, Anthropic),
// enable_thinking, add_generation_prompt, continue_final_message, add_special_tokens. A conversation that ends with an
// assistant's message goes on with it unless one of the last but one says otherwise, as llama-server has it.
Result<ChatPrompt> ReadChatPrompt(JsonObject& object);

}  // namespace cllm
