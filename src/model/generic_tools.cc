#include "model/generic_tools.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/json_text.h"

namespace cllm {
namespace {

std::string ToolsText(const std::vector<ChatTool>& tools) {
  std::string text = "You can call functions. Their signatures are within <tools></tools>, a line of JSON each:\n<tools>\n";
  for (const ChatTool& tool : tools) {
    text += fmt::format(R"({{"type": "function", "function": {{"name": {}, "description": {}, "parameters": {}}}}})",
                        QuotedAsJson(tool.name), QuotedAsJson(tool.description), tool.parameters.empty() ? "{}" : tool.parameters);
    text += '\n';
  }
  return text +
         "</tools>\nTo call a function, answer with a JSON object of its name and arguments within <tool_call></tool_call>:\n"
         "<tool_call>\n{\"name\": <its name>, \"arguments\": <its arguments, as a JSON object>}\n</tool_call>";
}

std::string CallsText(const ChatMessage& message) {
  std::string text = message.Text();
  for (const ChatToolCall& call : message.tool_calls) {
    if (!text.empty()) text += '\n';
    text += fmt::format("<tool_call>\n{{\"name\": {}, \"arguments\": {}}}\n</tool_call>", QuotedAsJson(call.name), call.arguments);
  }
  return text;
}

ChatMessage AsText(const ChatMessage& message) {
  if (message.role == "tool") return {.role = "user", .content = "<tool_response>\n" + message.Text() + "\n</tool_response>"};
  if (message.tool_calls.empty()) return message;
  return {.role = message.role, .content = CallsText(message), .reasoning_content = message.reasoning_content};
}

// Templates that know no tools often want user and assistant in turn.
void Add(std::vector<ChatMessage>& messages, const ChatMessage& message, bool after_result) {
  ChatMessage next = AsText(message);
  const bool is_result = message.role == "tool";
  if (messages.empty() || next.role != messages.back().role || !(is_result || after_result)) return messages.push_back(std::move(next));
  messages.back().content = messages.back().Text() + "\n" + next.Text();
  messages.back().text_parts.clear();
}

void PutBefore(std::vector<ChatMessage>& messages, const std::string& text, bool knows_system) {
  const bool begins_with_system = !messages.empty() && (messages.front().role == "system" || messages.front().role == "developer");
  const bool joins = begins_with_system || (!knows_system && !messages.empty() && messages.front().role == "user");
  if (!joins) {
    messages.insert(messages.begin(), {.role = knows_system ? "system" : "user", .content = text});
    return;
  }
  ChatMessage& first = messages.front();
  const std::string content = first.Text();
  first.content = begins_with_system ? content + "\n\n" + text : text + "\n\n" + content;
  first.text_parts.clear();
}

}  // namespace

ChatPrompt WithToolsAsText(const ChatPrompt& prompt, bool knows_system) {
  ChatPrompt plain = prompt;
  plain.messages.clear();
  bool after_result = false;
  for (const ChatMessage& message : prompt.messages) {
    Add(plain.messages, message, after_result);
    after_result = message.role == "tool";
  }
  if (prompt.may_call()) PutBefore(plain.messages, ToolsText(prompt.tools), knows_system);
  plain.tools.clear();
  return plain;
}

const char* GenericToolTemplate() {
  return R"({%- if tools -%}
<|system|>
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools><|end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{{ '<|user|>\n<tool_response>\n' + message.content + '\n</tool_response><|end|>\n' }}
{%- elif message.role == 'assistant' and message.tool_calls -%}
{{ '<|assistant|>\n' }}
{%- if message.content -%}{{ message.content + '\n' }}{%- endif -%}
{%- for tool_call in message.tool_calls -%}
{%- if not loop.first -%}{{ '\n' }}{%- endif -%}
{{ '<tool_call>\n{"name": "' + tool_call.function.name + '", "arguments": ' + (tool_call.function.arguments | tojson) + '}\n</tool_call>' }}
{%- endfor -%}
{{ '<|end|>\n' }}
{%- else -%}
{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|assistant|>\n' }}
{%- endif -%}
)";
}

}  // namespace cllm
