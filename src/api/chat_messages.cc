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
#include "api/schema_words.h"
#include "api/tool_fields.h"
#include "base/utf8.h"

namespace cllm {
namespace {

// One part, {"type": "text", "text": …}; OpenAI's Responses call it input_text and output_text.
Status ReadPart(JsonObject& object, const std::string& path, const std::string& field, MessageContent& content) {
  const std::string said = object.String("type").value_or("");
  if (said == "input_image" || said == "input_file" || said == "input_audio") {
    return InvalidArgument(fmt::format("{}.type {} is not supported: this server's models read text alone", path, said), field);
  }
  const std::string type = object.Tag("type", {"text", "input_text", "output_text", "refusal", "thinking", "reasoning"});
  if (type.empty()) {
    return InvalidArgument(
        fmt::format("{}.type must be text, input_text, output_text, refusal or thinking, not {}", path, Dump(Shortened(said))), field);
  }
  std::optional<std::string> text;
  for (const char* name : {"text", "refusal", "thinking"}) {
    if (auto value = object.String(name)) text = std::move(value);
  }
  object.RequireOneOf({"text", "refusal", "thinking"}, path + " has no text");
  if (const Status status = object.Finish(ContentPartFields()); !status) return InvalidArgument(status.error().message, field);
  const bool is_thought = type == "thinking" || type == "reasoning";
  AppendLine(is_thought ? content.thoughts : content.text, text.value_or(""));
  return {};
}

void ReadRole(JsonObject& object, const std::string& path, ChatMessage& message) {
  message.role = object.Tag("role", {"system", "developer", "user", "assistant", "tool", "function"});
  // What a function gave, before there were tools.
  if (message.role == "function") message.role = "tool";
  if (message.role.empty()) object.Reject("role", fmt::format("{}.role must be system, developer, user, assistant or tool", path));
}

// What an assistant thought, under the names of DeepSeek, OpenRouter and Ollama.
void ReadReasoning(JsonObject& object, const std::string& path, ChatMessage& message) {
  std::optional<std::string> thoughts;
  for (const char* name : {"reasoning_content", "reasoning", "thinking"}) {
    auto text = object.String(name);
    if (text && thoughts && *text != *thoughts) {
      object.Reject(name, fmt::format("{}.{} contradicts another name of the same field", path, name));
    }
    if (text) thoughts = std::move(text);
  }
  message.reasoning_content = std::move(thoughts).value_or("");
}

struct ReadMessage {
  ChatMessage message;
  bool is_prefix = false;  // DeepSeek's and Mistral's `prefix`, Moonshot's `partial`: the answer goes on with it
};

Result<ReadMessage> ReadOne(JsonObject& object, const std::string& path) {
  ReadMessage read;
  ChatMessage& message = read.message;
  ReadRole(object, path, message);
  message.name = object.String("name").value_or("");
  if (const auto tool = object.String("tool_name"); tool && message.name.empty()) message.name = *tool;  // Ollama's
  ReadReasoning(object, path, message);
  if (message.role == "assistant") ReadToolCalls(object, path, message.tool_calls);
  if (message.role == "tool") message.tool_call_id = object.String("tool_call_id").value_or("");
  const auto refusal = object.String("refusal");
  if (auto content = ReadContent(object, "content", path, message.role != "assistant")) {
    message.content = std::move(content->text);
    if (message.reasoning_content.empty()) message.reasoning_content = std::move(content->thoughts);
  } else {
    message.content = refusal.value_or("");
  }
  for (const char* name : {"prefix", "partial"}) read.is_prefix = object.Bool(name).value_or(false) || read.is_prefix;
  if (const Status status = object.Finish(MessageFields()); !status) return std::unexpected(status.error());
  return read;
}

// Says also whether the last message is marked as the beginning of the answer.
bool ReadMessages(JsonObject& object, std::vector<ChatMessage>& messages) {
  const auto read_one = [](JsonObject& message) { static_cast<void>(ReadOne(message, {})); };
  const Json* json = object.Any("messages", [&] { return words::ListOf(object.SchemaOf(read_one), 1, kMostMessages); });
  const std::string wrong = fmt::format("messages must be an array of 1 to {} messages", kMostMessages);
  object.Require("messages", wrong);
  if (json == nullptr) return false;
  const auto reject = [&](Error error) {
    object.Reject(std::move(error));
    return false;
  };
  if (!json->is_array() || json->empty() || json->size() > kMostMessages) return reject({ErrorCode::kInvalidArgument, wrong, "messages"});
  bool is_prefix = false;
  for (std::size_t i = 0; i < json->size(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    if (!(*json)[i].is_object()) return reject({ErrorCode::kInvalidArgument, path + " must be an object", path});
    JsonObject fields = object.Inner((*json)[i], path + ".");
    Result<ReadMessage> read = ReadOne(fields, path);
    if (!read) return reject(std::move(read.error()));
    is_prefix = read->is_prefix;
    const bool may_be_prefix = i + 1 == json->size() && read->message.role == "assistant";
    if (is_prefix && !may_be_prefix) {
      return reject({ErrorCode::kInvalidArgument, path + ".prefix: only a last message of the assistant can be the beginning of the answer",
                     path + ".prefix"});
    }
    messages.push_back(std::move(read->message));
  }
  return is_prefix;
}

// OpenAI's and vLLM's efforts. "none" turns thinking off, as at llama-server.
void SetEffort(JsonObject& object, const char* field, const std::string& effort, ChatPrompt& prompt) {
  if (effort == "none") return SetTemplateArgument(object, field, "enable_thinking", false, prompt);
  SetTemplateArgument(object, field, "reasoning_effort", effort, prompt);
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

// OpenRouter's {"effort": …, "enabled": …, "max_tokens": …, "exclude": …}.
void ReadReasoningObject(JsonObject& object, ChatPrompt& prompt, bool* hides_thoughts) {
  static constexpr KnownField kFields[] = {{"exclude", "[false]"}, {"summary", nullptr}, {"generate_summary", nullptr}};
  object.Object("reasoning", KnownFields(kFields), [&](JsonObject& fields) {
    if (const auto effort = fields.String("effort")) SetEffort(object, "reasoning", *effort, prompt);
    if (const auto enabled = fields.Bool("enabled")) SetTemplateArgument(object, "reasoning", "enable_thinking", *enabled, prompt);
    ReadBudget(fields, "max_tokens", prompt);
    if (hides_thoughts != nullptr && fields.Bool("exclude").value_or(false)) *hides_thoughts = true;
  });
}

// {"type": "enabled" or "disabled", "budget_tokens": …}, of DeepSeek, Anthropic and others.
void ReadThinkingObject(JsonObject& object, ChatPrompt& prompt) {
  static constexpr KnownField kFields[] = {{"clear_thinking", "[true]"}, {"display", nullptr}};
  object.Object("thinking", KnownFields(kFields), [&](JsonObject& fields) {
    const std::string type = fields.Tag("type", {"enabled", "disabled", "auto", "adaptive"});
    ReadBudget(fields, "budget_tokens", prompt);
    if (type.empty()) fields.Reject("type", "thinking.type must be enabled, disabled or auto");
    if (type == "enabled" || type == "disabled") SetTemplateArgument(object, "thinking", "enable_thinking", type == "enabled", prompt);
  });
}

// Whether thoughts come apart from the content: the reasoning_format of llama-server and Groq, SGLang's separate_reasoning.
// Groq's `hidden`: they come neither way.
void ReadReasoningFormat(JsonObject& object, ChatPrompt& prompt, bool* hides_thoughts) {
  const std::string format = object.Word("reasoning_format", {"auto", "deepseek", "parsed", "none", "raw", "hidden"}).value_or("auto");
  if (hides_thoughts != nullptr && format == "hidden") *hides_thoughts = true;
  const bool is_apart_by_format = format != "none" && format != "raw";
  const bool is_apart = object.Bool("separate_reasoning").value_or(is_apart_by_format);
  prompt.reasoning_format = is_apart ? ReasoningFormat::kApart : ReasoningFormat::kInContent;
}

// Where the prompt ends: with the beginning of an answer of its own, or with an open last message.
void ReadEnding(JsonObject& object, bool is_prefix, ChatPrompt& prompt) {
  const auto add = object.Bool("add_generation_prompt");
  const auto go_on = object.Bool("continue_final_message");
  const bool is_assistants = !prompt.messages.empty() && prompt.messages.back().role == "assistant";
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

void AppendLine(std::string& text, const std::string& line) {
  // As llama-server and vLLM join the parts of a message.
  if (!text.empty()) text += '\n';
  text += line;
}

void SetTemplateArgument(JsonObject& object, const char* field, const char* argument, const Json& value, ChatPrompt& prompt) {
  const auto [found, is_new] = prompt.template_arguments.emplace(argument, Dump(value));
  if (!is_new && found->second != Dump(value)) {
    object.Reject(field, fmt::format("{} contradicts {} of another field", field, argument));
  }
}

std::optional<MessageContent> ReadContent(JsonObject& message, const char* name, const std::string& path, bool must_be_there) {
  const auto read_part = [](JsonObject& part) {
    MessageContent unused;
    static_cast<void>(ReadPart(part, {}, {}, unused));
  };
  const Json* json = message.Any(name, [&] { return words::AnyOf({words::String(), words::ListOf(message.SchemaOf(read_part))}); });
  const std::string field = fmt::format("{}.{}", path, name);
  const std::string wrong = field + " must be a string or an array of text parts";
  const auto reject = [&](Error error) -> std::optional<MessageContent> {
    message.Reject(std::move(error));
    return std::nullopt;
  };
  if (must_be_there) message.Require(name, wrong);
  if (json == nullptr) return std::nullopt;
  if (json->is_string()) return MessageContent{.text = json->get<std::string>(), .thoughts = {}};
  if (!json->is_array()) return reject({ErrorCode::kInvalidArgument, wrong, field});
  MessageContent content;
  for (std::size_t i = 0; i < json->size(); ++i) {
    const std::string place = fmt::format("{}[{}]", name, i);
    const std::string part_path = fmt::format("{}.{}", path, place);
    if (!(*json)[i].is_object()) return reject({ErrorCode::kInvalidArgument, part_path + " must be an object", field});
    JsonObject part = message.Inner((*json)[i], place + ".");
    if (Status status = ReadPart(part, part_path, field, content); !status) return reject(std::move(status.error()));
  }
  return content;
}

void ReadVerbosity(JsonObject& object, ChatPrompt& prompt) {
  const auto verbosity = object.Word("verbosity", {"low", "medium", "high"});
  if (verbosity) SetTemplateArgument(object, "verbosity", "verbosity", *verbosity, prompt);
}

void ReadTemplateArguments(JsonObject& object, ChatPrompt& prompt, bool* hides_thoughts) {
  if (const Json* arguments = object.Any("chat_template_kwargs", words::AnyObject); arguments != nullptr) {
    if (!arguments->is_object()) return object.Reject("chat_template_kwargs", "chat_template_kwargs must be an object");
    for (const auto& item : arguments->items()) prompt.template_arguments[item.key()] = Dump(item.value());
    if (Status status = CheckTemplateArguments(prompt.template_arguments); !status) return object.Reject(std::move(status.error()));
  }
  if (const auto effort = object.String("reasoning_effort"); effort && !effort->empty()) {
    SetEffort(object, "reasoning_effort", *effort, prompt);
  }
  if (const auto enabled = object.Bool("enable_thinking"))
    SetTemplateArgument(object, "enable_thinking", "enable_thinking", *enabled, prompt);
  ReadVerbosity(object, prompt);
  ReadReasoningObject(object, prompt, hides_thoughts);
  ReadThinkingObject(object, prompt);
  for (const char* name : kReasoningBudgetNames) ReadBudget(object, name, prompt);
}

ChatPrompt ReadChatPrompt(JsonObject& object, bool* hides_thoughts) {
  ChatPrompt prompt;
  const bool is_prefix = ReadMessages(object, prompt.messages);
  ReadTemplateArguments(object, prompt, hides_thoughts);
  ReadReasoningFormat(object, prompt, hides_thoughts);
  ReadEnding(object, is_prefix, prompt);
  // A chat's prompt begins with one BOS whether the template writes it or not, which is what either value is for.
  object.Bool("add_special_tokens");
  return prompt;
}

}  // namespace cllm
