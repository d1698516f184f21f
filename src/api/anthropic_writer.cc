#include "api/anthropic_writer.h"

#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

// Anthropic counts what came from a cache apart. What is null is there because its clients' types insist on it.
Json UsageSoFar(const TokenCounts& counts) {
  return {{"input_tokens", counts.prompt - counts.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", counts.cached},
          {"output_tokens", counts.generated},
          {"output_tokens_details", {{"thinking_tokens", counts.reasoning}}},
          {"server_tool_use", nullptr}};
}

// Of a message: who serves it, too.
Json UsageOf(const TokenCounts& counts) {
  Json usage = UsageSoFar(counts);
  usage.update({{"cache_creation", nullptr}, {"inference_geo", nullptr}, {"service_tier", nullptr}});
  return usage;
}

struct Ending {
  Json reason = nullptr;
  Json sequence = nullptr;
};

Ending EndingOf(const GenerationEnd& end, bool calls) {
  if (end.reason == FinishReason::kLength) return {"max_tokens"};
  if (calls) return {"tool_use"};
  if (!end.stop_string.empty()) return {"stop_sequence", end.stop_string};
  return {"end_turn"};
}

words::Members UsageSoFarMembers() {
  return {{"input_tokens", words::Integer()},
          {"cache_creation_input_tokens", words::Integer()},
          {"cache_read_input_tokens", words::Integer()},
          {"output_tokens", words::Integer()},
          {"output_tokens_details", words::Record({{"thinking_tokens", words::Integer()}})},
          {"server_tool_use", words::Null()}};
}

Json AnthropicUsageSchema() {
  words::Members members = UsageSoFarMembers();
  for (const char* name : {"cache_creation", "inference_geo", "service_tier"}) members.emplace_back(name, words::Null());
  return words::Record(members);
}

// How a message ended.
words::Members EndingMembers(Json reason) {
  return {{"stop_reason", std::move(reason)},
          {"stop_sequence", words::OrNull(words::String())},
          {"stop_details", words::Null()},
          {"container", words::Null()}};
}

Json StopReasonSchema() { return words::Enum({"end_turn", "max_tokens", "stop_sequence", "tool_use"}); }

Json CallBlockSchema() {
  return words::Record({{"type", words::Const("tool_use")},
                        {"id", words::String()},
                        {"name", words::String()},
                        {"input", words::AnyObject()},
                        {"caller", words::Record({{"type", words::Const("direct")}})}});
}

Json TextBlockSchema(Json text) {
  return words::Record({{"type", words::Const("text")}, {"text", std::move(text)}, {"citations", words::ListOf(words::AnyObject(), 0, 0)}});
}

Json MessageSchema(Json content) {
  words::Members members{{"id", words::String()},    {"type", words::Const("message")}, {"role", words::Const("assistant")},
                         {"model", words::String()}, {"content", std::move(content)},   {"usage", AnthropicUsageSchema()}};
  for (auto& member : EndingMembers(words::OrNull(StopReasonSchema()))) members.push_back(std::move(member));
  return words::Record(members);
}

// Its owner lets citations be null; the AI SDK does not.
Json TextBlock(const std::string& text) { return {{"type", "text"}, {"text", text}, {"citations", Json::array()}}; }

// `caller`: the model itself, not code that it has run.
Json CallBlock(const AnswerPart& call, Json input) {
  return {
      {"type", "tool_use"}, {"id", call.call_id}, {"name", call.call_name}, {"input", std::move(input)}, {"caller", {{"type", "direct"}}}};
}

Json EndingFields(const Ending& ending) {
  return {{"stop_reason", ending.reason}, {"stop_sequence", ending.sequence}, {"stop_details", nullptr}, {"container", nullptr}};
}

}  // namespace

Json ArgumentsAsObject(const std::string& arguments) {
  Json json = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return {{"_incomplete", arguments}};
}

Json AnthropicWriter::Message(Json content, const TokenCounts& counts) const {
  Json message{{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_.id}, {"content", std::move(content)}};
  message.update(EndingFields({}));
  message["usage"] = UsageOf(counts);
  return message;
}

void AnthropicWriter::Tell(std::string_view type, const Json& fields) {
  Json event{{"type", type}};
  event.update(fields);
  frames_ += fmt::format("event: {}\ndata: {}\n\n", type, Dump(event));
}

void AnthropicWriter::Begin(const TokenCounts& counts) {
  if (std::exchange(has_begun_, true)) return;
  Tell("message_start", {{"message", Message(Json::array(), {.prompt = counts.prompt, .cached = counts.cached})}});
}

Json AnthropicWriter::DeltaOf(const char* type, const char* field, const std::string& text) const {
  return {{"index", next_block_}, {"delta", {{"type", type}, {field, text}}}};
}

void AnthropicWriter::Grow(Block block, const Json& opened, const char* delta_type, const char* field, const std::string& text) {
  if (open_ != block) {
    Close();
    open_ = block;
    Tell("content_block_start", {{"index", next_block_}, {"content_block", opened}});
  }
  if (!text.empty()) Tell("content_block_delta", DeltaOf(delta_type, field, text));
}

void AnthropicWriter::Close() {
  if (!open_) return;
  // Clients send it back with what was thought; here it proves nothing.
  if (open_->kind == Kind::kThinking) Tell("content_block_delta", DeltaOf("signature_delta", "signature", id_));
  Tell("content_block_stop", {{"index", next_block_++}});
  open_.reset();
}

std::string AnthropicWriter::StreamDelta(const TextDelta& delta) {
  Begin(delta.counts);
  if (!delta.reasoning.empty()) {
    Grow({Kind::kThinking}, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}, "thinking_delta", "thinking", delta.reasoning);
  }
  if (!delta.text.empty()) Grow({Kind::kText}, TextBlock(""), "text_delta", "text", delta.text);
  for (const AnswerPart& piece : delta.calls) {
    calls_ = true;
    Grow({Kind::kCall, piece.call}, CallBlock(piece, Json::object()), "input_json_delta", "partial_json", piece.text);
  }
  return std::exchange(frames_, {});
}

std::string AnthropicWriter::StreamEnd(const GenerationEnd& end) {
  if (!end.status) {
    Tell("error", {{"error", AnthropicErrorObject(end.status.error())}, {"request_id", nullptr}});
    return std::exchange(frames_, {});
  }
  Begin(CountsOf(end));
  if (!open_ && next_block_ == 0) Grow({Kind::kText}, TextBlock(""), "text_delta", "text", "");
  Close();
  Tell("message_delta", {{"delta", EndingFields(EndingOf(end, calls_))}, {"usage", UsageSoFar(CountsOf(end))}});
  Tell("message_stop", Json::object());
  return std::exchange(frames_, {});
}

std::string AnthropicWriter::Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) {
  const TextDelta& answer = answers.at(0);
  Json content = Json::array();
  if (!answer.reasoning.empty()) content.push_back({{"type", "thinking"}, {"thinking", answer.reasoning}, {"signature", id_}});
  if (!answer.text.empty() || (answer.calls.empty() && content.empty())) content.push_back(TextBlock(answer.text));
  for (const AnswerPart& call : answer.calls) content.push_back(CallBlock(call, ArgumentsAsObject(call.text)));
  Json message = Message(std::move(content), CountsOf(end));
  message.update(EndingFields(EndingOf(end, !answer.calls.empty())));
  return Dump(message);
}

Json AnthropicAnswerSchema() {
  return MessageSchema(words::ListOf(
      words::AnyOf({words::Record({{"type", words::Const("thinking")}, {"thinking", words::String()}, {"signature", words::String()}}),
                    TextBlockSchema(words::String()), CallBlockSchema()})));
}

Json AnthropicEventSchema() {
  const auto event = [](const char* type, words::Members fields) {
    fields.insert(fields.begin(), {"type", words::Const(type)});
    return words::Record(fields);
  };
  const auto delta = [](const char* type, const char* field) {
    return words::Record({{"type", words::Const(type)}, {field, words::String()}});
  };
  const Json block =
      words::AnyOf({words::Record({{"type", words::Const("thinking")}, {"thinking", words::Const("")}, {"signature", words::Const("")}}),
                    TextBlockSchema(words::Const("")), CallBlockSchema()});
  const Json piece = words::AnyOf({delta("thinking_delta", "thinking"), delta("signature_delta", "signature"), delta("text_delta", "text"),
                                   delta("input_json_delta", "partial_json")});
  const Json ending = words::Record(EndingMembers(StopReasonSchema()));
  return words::AnyOf({event("message_start", {{"message", MessageSchema(Json{{"type", "array"}, {"maxItems", 0}})}}),
                       event("content_block_start", {{"index", words::Integer()}, {"content_block", block}}),
                       event("content_block_delta", {{"index", words::Integer()}, {"delta", piece}}),
                       event("content_block_stop", {{"index", words::Integer()}}),
                       event("message_delta", {{"delta", ending}, {"usage", words::Record(UsageSoFarMembers())}}),
                       event("message_stop", {}), event("ping", {}), ErrorBodySchema(ErrorFamily::kAnthropic)});
}

}  // namespace cllm
