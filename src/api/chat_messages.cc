#include "api/chat_messages.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/sampling_fields.h"
#include "api/tool_fields.h"
#include "base/utf8.h"

namespace cllm {
namespace {

void AppendPart(std::string& text, const std::string& part) {
  // As llama-server and vLLM join the parts of a message.
  if (!text.empty()) text += '\n';
  text += part;
}

// One part, {"type": "text", "text": …}; OpenAI's Responses call it input_text and output_text.
Status ReadPart(JsonObject object, const std::string& path, const std::string& field, MessageContent& content) {
  const std::string type = object.String("type").value_or("");
  const bool is_text = type == "text" || type == "input_text" || type == "output_text";
  const bool is_thought = type == "thinking" || type == "reasoning";
  if (type == "input_image" || type == "input_file" || type == "input_audio") {
    return InvalidArgument(fmt::format("{}.type {} is not supported: this server's models read text alone", path, type), field);
  }
  if (!is_text && !is_thought && type != "refusal") {
    return InvalidArgument(
        fmt::format("{}.type must be text, input_text, output_text, refusal or thinking, not {}", path, Dump(Shortened(type))), field);
  }
  std::optional<std::string> text;
  for (const char* name : {"text", "refusal", "thinking"}) {
    if (auto value = object.String(name)) text = std::move(value);
  }
  if (const Status status = object.Finish(ContentPartFields()); !status) return InvalidArgument(status.error().message, field);
  if (!text) return InvalidArgument(fmt::format("{} has no text", path), field);
  AppendPart(is_thought ? content.thoughts : content.text, *text);
  return {};
}

void ReadRole(JsonObject& object, const std::string& path, ChatMessage& message) {
  message.role = object.String("role").value_or("");
  // What a function gave, before there were tools.
  if (message.role == "function") message.role = "tool";
  for (const char* known : {"system", "developer", "user", "assistant", "tool"}) {
    if (message.role == known) return;
  }
  object.Reject("role", fmt::format("{}.role must be system, developer, user, assistant or tool", path));
}

// What an assistant thought, under the names of DeepSeek and of OpenRouter.
void ReadReasoning(JsonObject& object, const std::string& path, ChatMessage& message) {
  const auto content = object.String("reasoning_content");
  const auto other = object.String("reasoning");
  if (content && other && *content != *other) {
    object.Reject("reasoning", fmt::format("{}.reasoning contradicts another name of the same field", path));
  }
  if (content || other) message.reasoning_content = content ? *content : *other;
}

struct ReadMessage {
  ChatMessage message;
  bool is_prefix = false;  // DeepSeek's and Mistral's `prefix`, Moonshot's `partial`: the answer goes on with it
};

Result<ReadMessage> ReadOne(const JsonObject& request, const Json& json, const std::string& path) {
  if (!json.is_object()) return InvalidArgument(path + " must be an object", path);
  JsonObject object = request.Inner(json, path + ".");
  ReadMessage read;
  ChatMessage& message = read.message;
  ReadRole(object, path, message);
  message.name = object.String("name").value_or("");
  ReadReasoning(object, path, message);
  if (message.role == "assistant") ReadToolCalls(object, path, message.tool_calls);
  if (message.role == "tool") message.tool_call_id = object.String("tool_call_id").value_or("");
  const auto refusal = object.String("refusal");
  if (const Json* json_content = object.Any("content"); json_content != nullptr) {
    Result<MessageContent> content = ReadContent(object, "content", *json_content, path);
    if (content) {
      message.content = std::move(content->text);
      if (message.reasoning_content.empty()) message.reasoning_content = std::move(content->thoughts);
    } else {
      object.Reject(std::move(content.error()));
    }
  } else if (message.role == "assistant") {
    message.content = refusal.value_or("");
  } else {
    object.Reject("content", path + ".content must be a string or an array of text parts");
  }
  for (const char* name : {"prefix", "partial"}) read.is_prefix = object.Bool(name).value_or(false) || read.is_prefix;
  if (const Status status = object.Finish(MessageFields()); !status) return std::unexpected(status.error());
  return read;
}

// Says also whether the last message is marked as the beginning of the answer.
Result<bool> ReadMessages(JsonObject& object, std::vector<ChatMessage>& messages) {
  const Json* json = object.Any("messages");
  if (json == nullptr || !json->is_array() || json->empty() || json->size() > kMostMessages) {
    return InvalidArgument(fmt::format("messages must be an array of 1 to {} messages", kMostMessages), "messages");
  }
  bool is_prefix = false;
  for (std::size_t i = 0; i < json->size(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    Result<ReadMessage> read = ReadOne(object, (*json)[i], path);
    if (!read) return std::unexpected(read.error());
    is_prefix = read->is_prefix;
    const bool may_be_prefix = i + 1 == json->size() && read->message.role == "assistant";
    if (is_prefix && !may_be_prefix) {
      return InvalidArgument(path + ".prefix: only a last message of the assistant can be the beginning of the answer", path + ".prefix");
    }
    messages.push_back(std::move(read->message));
  }
  return is_prefix;
}

// Fields and chat_template_kwargs may both name an argument, but not with two values.
void SetArgument(JsonObject& object, const char* field, const char* argument, const Json& value, ChatPrompt& prompt) {
  const auto [found, is_new] = prompt.template_arguments.emplace(argument, Dump(value));
  if (!is_new && found->second != Dump(value)) {
    object.Reject(field, fmt::format("{} contradicts {} of another field", field, argument));
  }
}

// OpenAI's and vLLM's efforts. "none" turns thinking off, as at llama-server.
void SetEffort(JsonObject& object, const char* field, const std::string& effort, ChatPrompt& prompt) {
  if (effort == "none") return SetArgument(object, field, "enable_thinking", false, prompt);
  SetArgument(object, field, "reasoning_effort", effort, prompt);
}

// llama-server's, vLLM's, DashScope's.
constexpr const char* kReasoningBudgetNames[] = {"reasoning_budget", "reasoning_budget_tokens", "thinking_budget_tokens",
                                                 "thinking_token_budget", "thinking_budget"};

// Most tokens of thoughts; -1: as many as the model likes.
void ReadBudget(JsonObject& reader, const char* name, ChatPrompt& prompt) {
  const auto tokens = reader.Int(name, -1, kMostTokensField);
  if (!tokens || *tokens == -1) return;
  const int most = static_cast<int>(std::min<std::int64_t>(*tokens, std::numeric_limits<int>::max()));
  if (prompt.reasoning_budget && *prompt.reasoning_budget != most) {
    reader.Reject(name, fmt::format("{} contradicts another name of the same field", name));
  }
  prompt.reasoning_budget = most;
}

// OpenRouter's {"effort": …, "enabled": …, "max_tokens": …}.
void ReadReasoningObject(JsonObject& object, ChatPrompt& prompt) {
  const Json* json = object.Any("reasoning");
  if (json == nullptr) return;
  if (!json->is_object()) return object.Reject("reasoning", "reasoning must be an object");
  static constexpr KnownField kFields[] = {{"exclude", "[false]"}, {"summary", nullptr}, {"generate_summary", nullptr}};
  JsonObject reader = object.Inner(*json, "reasoning.");
  if (const auto effort = reader.String("effort")) SetEffort(object, "reasoning", *effort, prompt);
  if (const auto enabled = reader.Bool("enabled")) SetArgument(object, "reasoning", "enable_thinking", *enabled, prompt);
  ReadBudget(reader, "max_tokens", prompt);
  if (Status status = reader.Finish(KnownFields(kFields)); !status) object.Reject(std::move(status.error()));
}

// {"type": "enabled" or "disabled", "budget_tokens": …}, of DeepSeek, Anthropic and others.
void ReadThinkingObject(JsonObject& object, ChatPrompt& prompt) {
  const Json* json = object.Any("thinking");
  if (json == nullptr) return;
  if (!json->is_object()) return object.Reject("thinking", "thinking must be an object");
  static constexpr KnownField kFields[] = {{"clear_thinking", "[true]"}};
  JsonObject reader = object.Inner(*json, "thinking.");
  const std::string type = reader.String("type").value_or("");
  ReadBudget(reader, "budget_tokens", prompt);
  if (type == "enabled" || type == "disabled") {
    SetArgument(object, "thinking", "enable_thinking", type == "enabled", prompt);
  } else if (type != "auto" && type != "adaptive") {
    reader.Reject("type", "thinking.type must be enabled, disabled or auto");
  }
  if (Status status = reader.Finish(KnownFields(kFields)); !status) object.Reject(std::move(status.error()));
}

// Whether thoughts come apart from the content: the reasoning_format of llama-server and Groq, SGLang's separate_reasoning.
void ReadReasoningFormat(JsonObject& object, ChatPrompt& prompt) {
  const std::string format = object.String("reasoning_format").value_or("auto");
  const bool is_apart_by_format = format == "auto" || format == "deepseek" || format == "parsed";
  if (!is_apart_by_format && format != "none" && format != "raw") {
    return object.Reject("reasoning_format", "reasoning_format must be auto, deepseek, parsed, none or raw");
  }
  const bool is_apart = object.Bool("separate_reasoning").value_or(is_apart_by_format);
  prompt.reasoning_format = is_apart ? ReasoningFormat::kApart : ReasoningFormat::kInContent;
}

// Where the prompt ends: with the beginning of an answer of its own, or with an open last message.
void ReadEnding(JsonObject& object, bool is_prefix, ChatPrompt& prompt) {
  const auto add = object.Bool("add_generation_prompt");
  const auto go_on = object.Bool("continue_final_message");
  const bool is_assistants = prompt.messages.back().role == "assistant";
  if (add == true && (go_on == true || is_prefix)) {
    return object.Reject("continue_final_message", "continue_final_message and add_generation_prompt cannot both be true");
  }
  if (go_on == true && !is_assistants) {
    return object.Reject("continue_final_message", "continue_final_message needs a last message of the assistant");
  }
  const bool says_nothing = !add && !go_on;
  prompt.continue_final_message = go_on == true || is_prefix || (says_nothing && is_assistants);
  prompt.add_generation_prompt = !prompt.continue_final_message && add.value_or(true);
}

}  // namespace

Result<MessageContent> ReadContent(const JsonObject& message, const char* name, const Json& json, const std::string& path) {
  const std::string field = fmt::format("{}.{}", path, name);
  if (json.is_string()) return MessageContent{.text = json.get<std::string>(), .thoughts = {}};
  if (!json.is_array()) return InvalidArgument(field + " must be a string or an array of text parts", field);
  MessageContent content;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string part = fmt::format("{}[{}]", name, i);
    if (!json[i].is_object()) return InvalidArgument(fmt::format("{}.{} must be an object", path, part), field);
    if (Status status = ReadPart(message.Inner(json[i], part + "."), path + "." + part, field, content); !status) {
      return std::unexpected(status.error());
    }
  }
  return content;
}

void ReadTemplateArguments(JsonObject& object, ChatPrompt& prompt) {
  if (const Json* arguments = object.Any("chat_template_kwargs"); arguments != nullptr) {
    if (!arguments->is_object()) return object.Reject("chat_template_kwargs", "chat_template_kwargs must be an object");
    for (const auto& item : arguments->items()) prompt.template_arguments[item.key()] = Dump(item.value());
    if (Status status = CheckTemplateArguments(prompt.template_arguments); !status) return object.Reject(std::move(status.error()));
  }
  if (const auto effort = object.String("reasoning_effort"); effort && !effort->empty()) {
    SetEffort(object, "reasoning_effort", *effort, prompt);
  }
  if (const auto enabled = object.Bool("enable_thinking")) SetArgument(object, "enable_thinking", "enable_thinking", *enabled, prompt);
  ReadReasoningObject(object, prompt);
  ReadThinkingObject(object, prompt);
  for (const char* name : kReasoningBudgetNames) ReadBudget(object, name, prompt);
}

Result<ChatPrompt> ReadChatPrompt(JsonObject& object) {
  ChatPrompt prompt;
  const Result<bool> is_prefix = ReadMessages(object, prompt.messages);
  if (!is_prefix) return std::unexpected(is_prefix.error());
  ReadTemplateArguments(object, prompt);
  ReadReasoningFormat(object, prompt);
  ReadEnding(object, *is_prefix, prompt);
  // A chat's prompt begins with one BOS whether the template writes it or not, which is what either value is for.
  object.Bool("add_special_tokens");
  return prompt;
}

}  // namespace cllm
