// OpenAI's tools: which there are, which the answer may call, and whether what it calls them with is what they take.
#pragma once

#include <string>
#include <vector>

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

struct ToolSettings {
  // The request speaks of functions, as OpenAI's API did before tools; so does its answer.
  bool speaks_of_functions = false;
  // JSON pointers of what the answers' arguments are not held to, because it can't be kept: "tools/0/function/parameters/…".
  std::vector<std::string> relaxed = {};
};

// tools, tool_choice, parallel_tool_calls, functions, function_call. A strict tool whose schema can't be kept is refused.
ToolSettings ReadTools(JsonObject& object, GenerateRequest& request, ChatPrompt& prompt);

// tool_calls and function_call of an assistant's message.
void ReadToolCalls(JsonObject& message, const std::string& path, std::vector<ChatToolCall>& calls);

}  // namespace cllm
