// OpenAI's tools: which there are, which the answer may call, and whether what it calls them with is what they take.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

// A function that its request put into a namespace. The model knows it by one name, made of both.
struct NamespacedName {
  std::string space;
  std::string name;

  std::string Joined() const { return space + (space.ends_with("__") ? "" : "__") + name; }
};

struct ToolSettings {
  // The request speaks of functions, as OpenAI's API did before tools; so does its answer.
  bool speaks_of_functions = false;
  // JSON pointers of what the answers' arguments are not held to, because it can't be kept: "tools/0/function/parameters/…".
  std::vector<std::string> relaxed = {};
  // Those of the functions in namespaces, by the name that the model knows.
  std::map<std::string, NamespacedName> namespaced = {};
};

// How a request writes a tool that is a function.
enum class ToolForm : std::uint8_t {
  kNested,       // {"type": "function", "function": {"name": …}}, of OpenAI's chats, which know functions without tools too
  kFlat,         // {"type": "function", "name": …}, of OpenAI's Responses, which has namespaces of them too
  kInputSchema,  // {"name": …, "input_schema": …}, of Anthropic's Messages
};

// tools, tool_choice, parallel_tool_calls (Anthropic has it in tool_choice) and, of chats, functions and function_call. A strict tool whose
// schema can't be kept is refused.
ToolSettings ReadTools(JsonObject& object, GenerateRequest& request, ChatPrompt& prompt, ToolForm form = ToolForm::kNested);

// name and arguments of a call, which stand in `function`; `path` is where that is.
ChatToolCall ReadNamedCall(JsonObject& function, const std::string& path);

// tool_calls and function_call of an assistant's message.
void ReadToolCalls(JsonObject& message, const std::string& path, std::vector<ChatToolCall>& calls);

}  // namespace cllm
