#include "api/anthropic_messages.h"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/chat_messages.h"
#include "base/utf8.h"

namespace cllm {
namespace {

std::string TextField(JsonObject& block, const char* name, const std::string& path) {
  auto text = block.String(name);
  if (!text && !block.Has(name)) block.Reject(name, fmt::format("{}.{} is missing", path, name));
  return std::move(text).value_or("");
}

Status Unsupported(const std::string& path, const std::string& type, const char* expected) {
  if (type == "image" || type == "document" || type == "file") {
    return InvalidArgument(fmt::format("{}.type {} is not supported: this server's models read text alone", path, type), path + ".type");
  }
  return InvalidArgument(fmt::format("{}.type must be {}, not {}", path, expected, Dump(Shortened(type))), path + ".type");
}

// A string, or an array of blocks of text and nothing else.
std::string ReadTexts(JsonObject& object, const char* name, const std::string& path) {
  const Json* json = object.Any(name);
  if (json == nullptr) return {};
  if (json->is_string()) return json->get<std::string>();
  if (!json->is_array()) {
    object.Reject(name, path + " must be a string or an array of text blocks");
    return {};
  }
  std::string text;
  for (std::size_t i = 0; i < json->size(); ++i) {
    const std::string where = fmt::format("{}[{}]", path, i);
    if (!(*json)[i].is_object()) {
      object.Reject(name, where + " must be an object");
      return {};
    }
    JsonObject block = object.Inner((*json)[i], fmt::format("{}[{}].", name, i));
    const std::string type = block.String("type").value_or("");
    if (type != "text") object.Reject(Unsupported(where, type, "text").error());
    AppendLine(text, TextField(block, "text", where));
    if (Status status = block.Finish(AnthropicBlockFields()); !status) object.Reject(std::move(status.error()));
  }
  return text;
}

// Makes messages of the blocks of one of Anthropic's.
class TurnReader {
 public:
  TurnReader(std::string role, std::string path, std::vector<ChatMessage>& messages)
      : role_(std::move(role)), path_(std::move(path)), messages_(messages) {
    current_.role = role_;
  }

  void Read(JsonObject& message) {
    const Json* content = message.Any("content");
    if (content != nullptr && content->is_array()) {
      for (std::size_t i = 0; i < content->size(); ++i) ReadBlock(message, (*content)[i], fmt::format("content[{}]", i));
    } else if (content != nullptr && content->is_string()) {
      current_.content = content->get<std::string>();
    } else {
      message.Reject("content", path_ + ".content must be a string or an array of blocks");
    }
    if (!IsEmpty() || !has_results_) messages_.push_back(std::move(current_));
  }

 private:
  bool IsEmpty() const { return current_.content.empty() && current_.reasoning_content.empty() && current_.tool_calls.empty(); }

  void ReadBlock(JsonObject& message, const Json& json, const std::string& name) {
    const std::string path = fmt::format("{}.{}", path_, name);
    if (!json.is_object()) return message.Reject("content", path + " must be an object");
    JsonObject block = message.Inner(json, name + ".");
    const std::string type = block.String("type").value_or("");
    if (Status status = ReadTyped(block, type, path); !status) block.Reject(std::move(status.error()));
    if (Status status = block.Finish(AnthropicBlockFields()); !status) message.Reject(std::move(status.error()));
  }

  Status ReadTyped(JsonObject& block, const std::string& type, const std::string& path) {
    const bool is_assistant = role_ == "assistant";
    if (type == "text") {
      AppendLine(current_.content, TextField(block, "text", path));
    } else if (type == "thinking" && is_assistant) {
      AppendLine(current_.reasoning_content, TextField(block, "thinking", path));
    } else if (type == "redacted_thinking" && is_assistant) {
      block.Ignore("data");  // nobody but who wrote it can read it
    } else if (type == "tool_use" && is_assistant) {
      ReadCall(block, path);
    } else if (type == "tool_result" && !is_assistant) {
      ReadResult(block, path);
    } else {
      return Unsupported(path, type, is_assistant ? "text, thinking, redacted_thinking or tool_use" : "text or tool_result");
    }
    return {};
  }

  void ReadCall(JsonObject& block, const std::string& path) {
    ChatToolCall call{.id = TextField(block, "id", path), .name = TextField(block, "name", path), .arguments = "{}"};
    if (call.name.empty()) block.Reject("name", path + ".name must be the name of a tool");
    const Json* input = block.Any("input");
    if (input != nullptr && !input->is_object()) block.Reject("input", path + ".input must be an object");
    if (input != nullptr) call.arguments = Dump(*input);
    current_.tool_calls.push_back(std::move(call));
  }

  void ReadResult(JsonObject& block, const std::string& path) {
    if (!IsEmpty()) messages_.push_back(std::exchange(current_, {.role = role_}));
    has_results_ = true;
    ChatMessage result{.role = "tool", .content = ReadTexts(block, "content", path + ".content")};
    result.tool_call_id = TextField(block, "tool_use_id", path);
    if (block.Bool("is_error").value_or(false)) result.content = "Error: " + result.content;
    messages_.push_back(std::move(result));
  }

  std::string role_;
  std::string path_;
  std::vector<ChatMessage>& messages_;
  ChatMessage current_;
  bool has_results_ = false;
};

Status ReadTurn(const JsonObject& request, const Json& json, const std::string& path, std::vector<ChatMessage>& messages) {
  if (!json.is_object()) return InvalidArgument(path + " must be an object", path);
  JsonObject message = request.Inner(json, path + ".");
  const std::string role = message.String("role").value_or("");
  if (role != "user" && role != "assistant" && role != "system") {
    message.Reject("role", path + ".role must be user or assistant; what holds for all of them is the field system");
  } else {
    TurnReader(role, path, messages).Read(message);
  }
  return message.Finish(MessageFields());
}

Status ReadTurns(JsonObject& object, std::vector<ChatMessage>& messages) {
  const Json* json = object.Any("messages");
  if (json == nullptr || !json->is_array() || json->empty() || json->size() > kMostMessages) {
    return InvalidArgument(fmt::format("messages must be an array of 1 to {} messages", kMostMessages), "messages");
  }
  for (std::size_t i = 0; i < json->size(); ++i) {
    if (Status status = ReadTurn(object, (*json)[i], fmt::format("messages[{}]", i), messages); !status) return status;
  }
  return {};
}

}  // namespace

Result<ChatPrompt> ReadAnthropicPrompt(JsonObject& object) {
  ChatPrompt prompt;
  if (std::string system = ReadTexts(object, "system", "system"); !system.empty()) {
    prompt.messages.push_back({.role = "system", .content = std::move(system)});
  }
  if (Status status = ReadTurns(object, prompt.messages); !status) return std::unexpected(status.error());
  ReadTemplateArguments(object, prompt);
  if (!object.Has("thinking")) prompt.template_arguments.emplace("enable_thinking", "false");
  prompt.continue_final_message = prompt.messages.back().role == "assistant";
  prompt.add_generation_prompt = !prompt.continue_final_message;
  return prompt;
}

}  // namespace cllm
