#include "api/response_items.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/chat_messages.h"
#include "api/dialect.h"
#include "api/schema_words.h"
#include "api/tool_fields.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr KnownField kItemFields[] = {{"id", nullptr},
                                      {"status", nullptr},
                                      {"phase", nullptr},
                                      {"created_by", nullptr},
                                      {"encrypted_content", nullptr},
                                      {"parsed_arguments", nullptr},
                                      {"caller", nullptr},
                                      {"cache_control", nullptr}};

Status ReadTextPart(JsonObject& part, std::string& text) {
  static constexpr KnownField kFields[] = {{"type", nullptr}};
  if (!text.empty()) text += '\n';
  text += part.String("text").value_or("");
  return part.Finish(KnownFields(kFields));
}

// The texts of [{"type": …, "text": …}], joined.
std::string TextsOf(JsonObject& item, const char* name, const std::string& path) {
  std::string text;
  const auto read_part = [](JsonObject& part) {
    std::string unused;
    static_cast<void>(ReadTextPart(part, unused));
  };
  const Json* list = item.Any(name, [&] { return words::ListOf(item.SchemaOf(read_part)); });
  if (list == nullptr) return text;
  if (!list->is_array() || !std::ranges::all_of(*list, [](const Json& part) { return part.is_object(); })) {
    item.Reject(name, fmt::format("{}.{} must be an array of objects with a text", path, name));
    return text;
  }
  for (const Json& json : *list) {
    JsonObject part = item.Inner(json, std::string(name) + "[].");
    if (Status status = ReadTextPart(part, text); !status) item.Reject(std::move(status.error()));
  }
  return text;
}

std::string IdPrefix(std::string_view type) {
  if (type == "function_call") return "fc_";
  if (type == "function_call_output") return "fco_";
  return type == "reasoning" ? "rs_" : "msg_";
}

// An item that was read, as the clients' types have it.
StoredItem AsKept(const Json& item) {
  const auto text_of = [&](const char* name) {
    const auto found = item.find(name);
    return found != item.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string type = text_of("type");
  if (type.empty()) type = "message";
  std::string id = text_of("id");
  if (id.empty()) id = IdPrefix(type) + RandomHexId();
  Json kept{{"id", id}, {"type", type}};
  if (type != "reasoning") kept["status"] = "completed";
  for (const auto& field : item.items()) {
    if (!field.value().is_null() && field.key() != "id" && field.key() != "type") kept[field.key()] = field.value();
  }
  if (const auto content = kept.find("content"); type == "message" && content != kept.end() && content->is_string()) {
    const bool is_answer = text_of("role") == "assistant";
    Json part{{"type", is_answer ? "output_text" : "input_text"}, {"text", std::move(*content)}};
    if (is_answer) part["annotations"] = Json::array();
    *content = Json::array({std::move(part)});
  }
  return {.id = std::move(id), .json = Dump(kept)};
}

}  // namespace

// What an assistant thinks, says and calls in a row is one message of a chat.
ChatMessage& ItemReader::AssistantsTurn() {
  if (!std::exchange(is_assistants_turn_, true)) messages_.push_back({.role = "assistant"});
  return messages_.back();
}

void ItemReader::AddMessage(JsonObject& item, const std::string& path) {
  item.Require("role", path + ".role must be user, assistant, system or developer");
  const std::string role = item.Word("role", {"user", "assistant", "system", "developer"}).value_or("");
  std::optional<MessageContent> content = ReadContent(item, "content", path);
  if (role.empty() || !content) return;
  if (role != "assistant") {
    is_assistants_turn_ = false;
    messages_.push_back({.role = role, .content = std::move(content->text)});
    return;
  }
  const ChatMessage& last = AssistantsTurn();
  // A second text is a message of its own.
  if (!last.content.empty() || !last.tool_calls.empty()) messages_.push_back({.role = role});
  messages_.back().content = std::move(content->text);
}

void ItemReader::AddReasoning(JsonObject& item, const std::string& path) {
  const std::string summary = TextsOf(item, "summary", path);
  std::string text = TextsOf(item, "content", path);
  if (text.empty()) text = summary;
  const ChatMessage& last = AssistantsTurn();
  if (!last.content.empty() || !last.tool_calls.empty()) messages_.push_back({.role = "assistant"});
  std::string& thoughts = messages_.back().reasoning_content;
  if (!thoughts.empty()) thoughts += '\n';
  thoughts += text;
}

void ItemReader::AddCall(JsonObject& item, const std::string& path) {
  ChatToolCall call = ReadNamedCall(item, path);
  if (auto space = item.String("namespace"); space && !space->empty()) {
    call.name = NamespacedName{.space = *std::move(space), .name = std::move(call.name)}.Joined();
  }
  item.Require("call_id");
  call.id = item.String("call_id").value_or("");
  if (call.id.empty()) return item.Reject("call_id", path + ".call_id is missing");
  call_ids_.insert(call.id);
  AssistantsTurn().tool_calls.push_back(std::move(call));
}

void ItemReader::AddCallOutput(JsonObject& item, const std::string& path) {
  is_assistants_turn_ = false;
  item.Require("call_id");
  ChatMessage message{.role = "tool", .tool_call_id = item.String("call_id").value_or("")};
  if (!call_ids_.contains(message.tool_call_id)) {
    item.Reject("call_id", fmt::format("{}.call_id {} is that of no function_call before it", path, Dump(Shortened(message.tool_call_id))));
  }
  std::optional<MessageContent> content = ReadContent(item, "output", path);
  if (!content) return;
  message.content = std::move(content->text);
  messages_.push_back(std::move(message));
}

// Messages may leave their type out.
void ItemReader::AddFields(JsonObject& item, const std::string& path) {
  item.String("id");
  const std::string said = item.String("type").value_or("");
  const std::string type = item.Tag("type", {"message", "function_call", "function_call_output", "reasoning"}, "message");
  if (type == "message") return AddMessage(item, path);
  if (type == "reasoning") return AddReasoning(item, path);
  if (type == "function_call") return AddCall(item, path);
  if (type == "function_call_output") return AddCallOutput(item, path);
  if (said == "item_reference") {
    return item.Reject("type", path + ".type item_reference is not supported: send the item itself, or previous_response_id");
  }
  item.Reject("type", fmt::format("{}.type must be message, function_call, function_call_output or reasoning, not {}", path,
                                  Dump(Shortened(said))));
}

Status ItemReader::Add(const JsonObject& request, const Json& json, const std::string& path) {
  if (++items_ > kMostMessages) {
    return InvalidArgument(fmt::format("a conversation has at most {} items, those before this request included", kMostMessages), "input");
  }
  if (!json.is_object()) return InvalidArgument(path + " must be an object", path);
  JsonObject item = request.Inner(json, path + ".");
  AddFields(item, path);
  return item.Finish(KnownFields(kItemFields));
}

Json ItemReader::ItemSchema(const JsonObject& request) {
  return request.SchemaOf([](JsonObject& item) {
    std::vector<ChatMessage> unused;
    ItemReader(unused).AddFields(item, {});
    static_cast<void>(item.Finish(KnownFields(kItemFields)));
  });
}

Status ItemReader::AddKept(const StoredTurns& turns, const StopCheck& stop) {
  static const Json kNothing = Json::object();
  const auto add = [&](const StoredItem& kept, bool is_output) -> Status {
    const Result<Json> json = ParseJson(kept.json, DuplicateNames::kLastCounts, stop);
    if (!json) return std::unexpected(json.error());
    // A call that was cut off is no call that anybody could have answered.
    const bool is_cut = is_output && json->value("status", "") == "incomplete" && json->value("type", "") == "function_call";
    if (is_cut) return {};
    IgnoredFields ignored;  // they were named when they came
    return Add(JsonObject(kNothing, {}, &ignored), *json, "previous_response_id");
  };
  for (const auto& turn : turns) {
    for (const StoredItem& item : turn->input) {
      if (Status status = add(item, false); !status) return status;
    }
    for (const StoredItem& item : turn->output) {
      if (Status status = add(item, true); !status) return status;
    }
  }
  return {};
}

std::vector<StoredItem> ReadInput(JsonObject& object, ItemReader& reader) {
  std::vector<StoredItem> items;
  const Json* input =
      object.Any("input", [&] { return words::AnyOf({words::String(), words::ListOf(ItemReader::ItemSchema(object), 0, kMostMessages)}); });
  if (input == nullptr) return items;
  if (!input->is_string() && (!input->is_array() || input->size() > kMostMessages)) {
    object.Reject("input", fmt::format("input must be a string or an array of at most {} items", kMostMessages));
    return items;
  }
  const Json text = input->is_string() ? Json::array({Json{{"role", "user"}, {"content", *input}}}) : Json();
  const Json& list = input->is_string() ? text : *input;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (Status status = reader.Add(object, list[i], fmt::format("input[{}]", i)); !status) {
      object.Reject(std::move(status.error()));
      return items;
    }
    items.push_back(AsKept(list[i]));
  }
  return items;
}

}  // namespace cllm
