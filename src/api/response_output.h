// The items of an answer of OpenAI's Responses while they grow, and the events that tell of it.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/response_store.h"
#include "api/tool_fields.h"
#include "base/json.h"
#include "service/generation.h"

namespace cllm {

// Frames of one stream, numbered.
class EventStream {
 public:
  void Add(std::string_view type, Json fields);
  // The same where `object`, which becomes the field `response`, is text already.
  void AddResponse(std::string_view type, std::string_view object);
  std::string Take();

 private:
  void AddFrame(std::string_view type, std::string_view fields);

  int next_number_ = 0;
  std::string frames_;
};

class ResponseOutput {
 public:
  // `events` hears of what changes and outlives this; nullptr: nobody does. `logprobs`: messages show those of their tokens.
  // `namespaced`: as ToolSettings has it.
  explicit ResponseOutput(EventStream* events, bool logprobs = false, std::map<std::string, NamespacedName> namespaced = {})
      : events_(events), shows_logprobs_(logprobs), namespaced_(std::move(namespaced)) {}

  void Add(const TextDelta& delta);
  // Nothing further comes. `is_cut`: there would have been more. An answer without any item gets an empty message.
  void End(bool is_cut);

  const std::vector<StoredItem>& items() const { return items_; }
  // What it holds in memory.
  std::size_t bytes() const { return bytes_; }

 private:
  enum class Kind { kReasoning, kMessage, kCall };
  struct Item {
    Kind kind;
    std::string id;
    std::string text = {};  // of a call, its arguments
    Json logprobs = Json::array();
    int call = 0;
    std::string call_id = {};
    std::string call_name = {};
    std::string call_namespace = {};
  };

  static Json ItemJson(const Item& item, const char* status);
  static Json PartJson(const Item& item, const std::string& text, Json logprobs);
  void Grow(Kind kind, const std::string& text, Json logprobs);
  void GrowCall(const AnswerPart& piece);
  void Append(const std::string& text);
  void Open(Item item);
  void Close(const char* status);
  // An event about the open item.
  void Tell(std::string_view type, Json fields);

  EventStream* events_;
  bool shows_logprobs_;
  std::map<std::string, NamespacedName> namespaced_;
  std::vector<StoredItem> items_;  // the closed ones
  std::optional<Item> open_;
  std::size_t bytes_ = 0;
};

}  // namespace cllm
