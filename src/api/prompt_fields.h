// The prompts of completions, which OpenAI's and llama-server's dialects share.
#pragma once

#include "api/dialect.h"
#include "api/json_object.h"

namespace cllm {

// One prompt, or a list of prompts: a list with a token id in it is one prompt. And what stands around them: suffix, add_special_tokens.
void ReadPrompts(JsonObject& object, ParsedCall& call);

}  // namespace cllm
