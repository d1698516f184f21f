// The fields of a request to Anthropic's Messages that become a chat's prompt.
#pragma once

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

// system, messages, thinking, and what else a chat tells its template. Blocks of one message stay in their order; what a tool gave becomes
// a message of its own. A conversation that ends with the assistant's message goes on with it. Without `thinking` the model is asked not to
// think, as Anthropic has it.
ChatPrompt ReadAnthropicPrompt(JsonObject& object);

}  // namespace cllm
