#include "api/response_output.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/dialect.h"
#include "api/openai_fields.h"

namespace cllm {

namespace {

Json ContentLogprobs(const TextDelta& delta) {
  std::vector<TokenText> tokens;
  const auto is_shown = [](const TokenText& token) { return token.is_content && token.in_text; };
  std::ranges::copy_if(delta.tokens, std::back_inserter(tokens), is_shown);
  return LogprobEntries(tokens);
}

// Events show less of a token than the parts of a message do.
Json WithoutBytes(Json logprobs) {
  for (Json& entry : logprobs) {
    entry.erase("bytes");
    for (Json& other : entry["top_logprobs"]) other.erase("bytes");
  }
  return logprobs;
}

}  // namespace

void EventStream::AddFrame(std::string_view type, std::string_view fields) {
  frames_ += fmt::format("event: {}\ndata: {{\"type\":\"{}\",\"sequence_number\":{},{}\n\n", type, type, next_number_++, fields);
}

void EventStream::Add(std::string_view type, Json fields) {
  AddFrame(type, std::string_view(Dump(fields)).substr(1));  // without its opening brace
}

void EventStream::AddResponse(std::string_view type, std::string_view object) { AddFrame(type, fmt::format("\"response\":{}}}", object)); }

std::string EventStream::Take() { return std::exchange(frames_, {}); }

void ResponseOutput::Add(const TextDelta& delta) {
  if (!delta.reasoning.empty()) Grow(Kind::kReasoning, delta.reasoning, Json::array());
  if (!delta.text.empty()) {
    Grow(Kind::kMessage, delta.text, shows_logprobs_ ? ContentLogprobs(delta) : Json::array());
  }
  for (const AnswerPart& piece : delta.calls) GrowCall(piece);
}

void ResponseOutput::End(bool is_cut) {
  if (!open_ && items_.empty()) Open({.kind = Kind::kMessage, .id = "msg_" + RandomHexId()});
  if (open_) Close(is_cut ? "incomplete" : "completed");
}

Json ResponseOutput::PartJson(const Item& item, const std::string& text, Json logprobs) {
  if (item.kind == Kind::kReasoning) return {{"type", "reasoning_text"}, {"text", text}};
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", std::move(logprobs)}};
}

Json ResponseOutput::ItemJson(const Item& item, const char* status) {
  const bool has_begun = std::string_view(status) != "in_progress";
  Json parts = Json::array();
  if (has_begun && item.kind != Kind::kCall) parts.push_back(PartJson(item, item.text, item.logprobs));
  switch (item.kind) {
    case Kind::kReasoning:
      return {{"id", item.id}, {"type", "reasoning"}, {"status", status}, {"summary", Json::array()}, {"content", std::move(parts)}};
    case Kind::kMessage:
      return {{"id", item.id}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", std::move(parts)}};
    case Kind::kCall:
      break;
  }
  Json call{{"id", item.id},           {"type", "function_call"}, {"status", status},
            {"call_id", item.call_id}, {"name", item.call_name},  {"arguments", item.text}};
  if (!item.call_namespace.empty()) call["namespace"] = item.call_namespace;
  return call;
}

void ResponseOutput::Grow(Kind kind, const std::string& text, Json logprobs) {
  if (!open_ || open_->kind != kind) {
    Open({.kind = kind, .id = (kind == Kind::kReasoning ? "rs_" : "msg_") + RandomHexId()});
  }
  Append(text);
  const char* type = kind == Kind::kReasoning ? "response.reasoning_text.delta" : "response.output_text.delta";
  Json fields{{"content_index", 0}, {"delta", text}};
  constexpr std::size_t kOfALogprob = 128;
  bytes_ += logprobs.size() * kOfALogprob;
  for (const Json& entry : logprobs) open_->logprobs.push_back(entry);
  if (kind == Kind::kMessage) fields["logprobs"] = WithoutBytes(std::move(logprobs));
  Tell(type, std::move(fields));
}

void ResponseOutput::GrowCall(const AnswerPart& piece) {
  if (!open_ || open_->kind != Kind::kCall || open_->call != piece.call) {
    Item item{.kind = Kind::kCall, .id = "fc_" + RandomHexId(), .call = piece.call, .call_id = piece.call_id, .call_name = piece.call_name};
    if (const auto found = namespaced_.find(piece.call_name); found != namespaced_.end()) {
      item.call_name = found->second.name;
      item.call_namespace = found->second.space;
    }
    Open(std::move(item));
  }
  if (piece.text.empty()) return;
  Append(piece.text);
  Tell("response.function_call_arguments.delta", {{"delta", piece.text}});
}

void ResponseOutput::Append(const std::string& text) {
  open_->text += text;
  bytes_ += text.size();
}

void ResponseOutput::Open(Item item) {
  constexpr std::size_t kOfAnItem = 1024;
  if (open_) Close("completed");
  open_ = std::move(item);
  bytes_ += kOfAnItem;
  if (events_ == nullptr) return;
  events_->Add("response.output_item.added", {{"output_index", items_.size()}, {"item", ItemJson(*open_, "in_progress")}});
  if (open_->kind != Kind::kCall)
    Tell("response.content_part.added", {{"content_index", 0}, {"part", PartJson(*open_, "", Json::array())}});
}

void ResponseOutput::Close(const char* status) {
  switch (open_->kind) {
    case Kind::kReasoning:
      Tell("response.reasoning_text.done", {{"content_index", 0}, {"text", open_->text}});
      break;
    case Kind::kMessage:
      Tell("response.output_text.done", {{"content_index", 0}, {"text", open_->text}, {"logprobs", WithoutBytes(open_->logprobs)}});
      break;
    case Kind::kCall:
      Tell("response.function_call_arguments.done", {{"name", open_->call_name}, {"arguments", open_->text}});
  }
  if (open_->kind != Kind::kCall)
    Tell("response.content_part.done", {{"content_index", 0}, {"part", PartJson(*open_, open_->text, open_->logprobs)}});
  Json item = ItemJson(*open_, status);
  StoredItem kept{.id = open_->id, .json = Dump(item)};
  if (events_ != nullptr) events_->Add("response.output_item.done", {{"output_index", items_.size()}, {"item", std::move(item)}});
  bytes_ += kept.json.size();
  items_.push_back(std::move(kept));
  open_.reset();
}

void ResponseOutput::Tell(std::string_view type, Json fields) {
  if (events_ == nullptr) return;
  fields["item_id"] = open_->id;
  fields["output_index"] = items_.size();
  events_->Add(type, std::move(fields));
}

}  // namespace cllm
