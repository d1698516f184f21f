#include "api/anthropic_messages.h"

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/chat_messages.h"
#include "api/schema_words.h"
#include "base/utf8.h"

namespace cllm {
namespace {

std::string TextField(JsonObject& block, const char* name, const std::string& path) {
  block.Require(name, fmt::format("{}.{} is missing", path, name));
  return block.String(name).value_or("");
}

void RejectType(JsonObject& block, const std::string& path, const std::string& said, const char* expected) {
  if (said == "image" || said == "document" || said == "file") {
    return block.Reject("type", fmt::format("{}.type {} is not supported: this server's models read text alone", path, said));
  }
  block.Reject("type", fmt::format("{}.type must be {}, not {}", path, expected, Dump(Shortened(said))));
}

// Reads one block of a content; `path` is the block's.
using BlockReader = std::function<void(JsonObject& block, const std::string& path)>;

// The field `name` of `object`, which is at `path`: a string, which is given, or an array of blocks.
std::optional<std::string> ReadContent(JsonObject& object, const char* name, const std::string& path, const BlockReader& read) {
  const auto read_block = [&](JsonObject& block, const std::string& where) {
    read(block, where);
    return block.Finish(AnthropicBlockFields());
  };
  const auto described = [&](JsonObject& block) { static_cast<void>(read_block(block, {})); };
  const Json* json = object.Any(name, [&] { return words::AnyOf({words::String(), words::ListOf(object.SchemaOf(described))}); });
  if (json == nullptr) return std::nullopt;
  if (json->is_string()) return json->get<std::string>();
  if (!json->is_array()) object.Reject(name, path + " must be a string or an array of blocks");
  for (std::size_t i = 0; json->is_array() && i < json->size(); ++i) {
    const std::string where = fmt::format("{}[{}]", path, i);
    if (!(*json)[i].is_object()) {
      object.Reject(name, where + " must be an object");
      break;
    }
    JsonObject block = object.Inner((*json)[i], fmt::format("{}[{}].", name, i));
    if (Status status = read_block(block, where); !status) object.Reject(std::move(status.error()));
  }
  return std::nullopt;
}

// Blocks of text and nothing else.
std::string ReadTexts(JsonObject& object, const char* name, const std::string& path) {
  std::string text;
  const auto read = [&](JsonObject& block, const std::string& where) {
    const std::string said = block.String("type").value_or("");
    if (block.Tag("type", {"text"}).empty()) RejectType(block, where, said, "text");
    AppendLine(text, TextField(block, "text", where));
  };
  auto whole = ReadContent(object, name, path, read);
  return whole ? *std::move(whole) : text;
}

// Makes messages of the blocks of one of Anthropic's.
class TurnReader {
 public:
  TurnReader(std::string role, std::string path, std::vector<ChatMessage>& messages)
      : role_(std::move(role)), path_(std::move(path)), messages_(messages) {
    current_.role = role_;
  }

  void Read(JsonObject& message) {
    const std::string path = path_ + ".content";
    message.Require("content", path + " must be a string or an array of blocks");
    const auto read = [this](JsonObject& block, const std::string& where) { ReadBlock(block, where); };
    if (auto whole = ReadContent(message, "content", path, read)) current_.content = *std::move(whole);
    if (!IsEmpty() || !has_results_) messages_.push_back(std::move(current_));
  }

 private:
  bool IsEmpty() const { return current_.content.empty() && current_.reasoning_content.empty() && current_.tool_calls.empty(); }

  void ReadBlock(JsonObject& block, const std::string& path) {
    const bool is_assistant = role_ == "assistant";
    const std::string said = block.String("type").value_or("");
    const std::string type = is_assistant ? block.Tag("type", {"text", "thinking", "redacted_thinking", "tool_use"})
                                          : block.Tag("type", {"text", "tool_result"});
    if (type == "text") {
      AppendLine(current_.content, TextField(block, "text", path));
    } else if (type == "thinking") {
      AppendLine(current_.reasoning_content, TextField(block, "thinking", path));
    } else if (type == "redacted_thinking") {
      block.Ignore("data");  // nobody but who wrote it can read it
    } else if (type == "tool_use") {
      ReadCall(block, path);
    } else if (type == "tool_result") {
      ReadResult(block, path);
    } else {
      RejectType(block, path, said, is_assistant ? "text, thinking, redacted_thinking or tool_use" : "text or tool_result");
    }
  }

  void ReadCall(JsonObject& block, const std::string& path) {
    ChatToolCall call{.id = TextField(block, "id", path), .name = TextField(block, "name", path), .arguments = "{}"};
    const Json* input = block.Any("input", words::AnyObject);
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

Status ReadTurn(JsonObject& message, const std::string& path, std::vector<ChatMessage>& messages) {
  const std::string role = message.Tag("role", {"user", "assistant", "system"});
  if (role.empty()) message.Reject("role", path + ".role must be user or assistant; what holds for all of them is the field system");
  TurnReader(role, path, messages).Read(message);
  return message.Finish(MessageFields());
}

void ReadTurns(JsonObject& object, std::vector<ChatMessage>& messages) {
  const auto described = [](JsonObject& message) {
    std::vector<ChatMessage> unused;
    static_cast<void>(ReadTurn(message, {}, unused));
  };
  const Json* json = object.Any("messages", [&] { return words::ListOf(object.SchemaOf(described), 1, kMostMessages); });
  const std::string wrong = fmt::format("messages must be an array of 1 to {} messages", kMostMessages);
  object.Require("messages", wrong);
  if (json == nullptr) return;
  if (!json->is_array() || json->empty() || json->size() > kMostMessages) return object.Reject("messages", wrong);
  for (std::size_t i = 0; i < json->size(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    if (!(*json)[i].is_object()) return object.Reject({ErrorCode::kInvalidArgument, path + " must be an object", path});
    JsonObject message = object.Inner((*json)[i], path + ".");
    if (Status status = ReadTurn(message, path, messages); !status) return object.Reject(std::move(status.error()));
  }
}

}  // namespace

ChatPrompt ReadAnthropicPrompt(JsonObject& object) {
  ChatPrompt prompt;
  if (std::string system = ReadTexts(object, "system", "system"); !system.empty()) {
    prompt.messages.push_back({.role = "system", .content = std::move(system)});
  }
  ReadTurns(object, prompt.messages);
  ReadTemplateArguments(object, prompt);
  if (!object.Has("thinking")) prompt.template_arguments.emplace("enable_thinking", "false");
  prompt.continue_final_message = !prompt.messages.empty() && prompt.messages.back().role == "assistant";
  prompt.add_generation_prompt = !prompt.continue_final_message;
  return prompt;
}

}  // namespace cllm
