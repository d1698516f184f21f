// Items of OpenAI's Responses: what clients write their conversations in, and keep them in.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "api/json_object.h"
#include "api/response_store.h"
#include "base/stop_check.h"
#include "service/generation.h"

namespace cllm {

// Items in turn become the messages of a chat.
class ItemReader {
 public:
  // `messages` outlives the reader.
  explicit ItemReader(std::vector<ChatMessage>& messages) : messages_(messages) {}

  // `request` is what the item stands in, at `path`.
  Status Add(const JsonObject& request, const Json& json, const std::string& path);
  // Of an item in `request`.
  static Json ItemSchema(const JsonObject& request);
  // What an earlier answer was kept with, and what it was.
  Status AddKept(const StoredTurns& turns, const StopCheck& stop);

 private:
  void AddFields(JsonObject& item, const std::string& path);
  void AddMessage(JsonObject& item, const std::string& path);
  void AddReasoning(JsonObject& item, const std::string& path);
  void AddCall(JsonObject& item, const std::string& path);
  void AddCallOutput(JsonObject& item, const std::string& path);
  ChatMessage& AssistantsTurn();

  std::vector<ChatMessage>& messages_;
  bool is_assistants_turn_ = false;  // the last message is an assistant's, and what it does next belongs to it
  std::set<std::string> call_ids_;
  std::size_t items_ = 0;
};

// input, a string or an array of items, which are added to `reader`. Gives them as they are kept: with an id and a type each.
std::vector<StoredItem> ReadInput(JsonObject& object, ItemReader& reader);

}  // namespace cllm
