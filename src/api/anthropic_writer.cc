#include "api/anthropic_writer.h"

#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

// Anthropic counts what came from a cache apart.
Json UsageOf(const TokenCounts& counts) {
  return {{"input_tokens", counts.prompt - counts.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", counts.cached},
          {"output_tokens", counts.generated},
          {"output_tokens_details", {{"thinking_tokens", counts.reasoning}}}};
}

struct Ending {
  const char* reason;
  Json sequence = nullptr;
};

Ending EndingOf(const GenerationEnd& end, bool calls) {
  if (end.reason == FinishReason::kLength) return {"max_tokens"};
  if (calls) return {"tool_use"};
  if (!end.stop_string.empty()) return {"stop_sequence", end.stop_string};
  return {"end_turn"};
}

Json AnthropicUsageSchema() {
  return words::Record({{"input_tokens", words::Integer()},
                        {"cache_creation_input_tokens", words::Integer()},
                        {"cache_read_input_tokens", words::Integer()},
                        {"output_tokens", words::Integer()},
                        {"output_tokens_details", words::Record({{"thinking_tokens", words::Integer()}})}});
}

Json StopReasonSchema() { return words::Enum({"end_turn", "max_tokens", "stop_sequence", "tool_use"}); }

Json CallBlockSchema() {
  return words::Record(
      {{"type", words::Const("tool_use")}, {"id", words::String()}, {"name", words::String()}, {"input", words::AnyObject()}});
}

Json MessageSchema(Json content) {
  return words::Record({{"id", words::String()},
                        {"type", words::Const("message")},
                        {"role", words::Const("assistant")},
                        {"model", words::String()},
                        {"content", std::move(content)},
                        {"stop_reason", words::OrNull(StopReasonSchema())},
                        {"stop_sequence", words::OrNull(words::String())},
                        {"usage", AnthropicUsageSchema()}});
}

Json TextBlock(const std::string& text) { return {{"type", "text"}, {"text", text}}; }

}  // namespace

Json ArgumentsAsObject(const std::string& arguments) {
  Json json = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  return {{"_incomplete", arguments}};
}

Json AnthropicWriter::Message(Json content, const TokenCounts& counts) const {
  return {{"id", id_},
          {"type", "message"},
          {"role", "assistant"},
          {"model", model_.id},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", UsageOf(counts)}};
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
    Grow({Kind::kCall, piece.call}, {{"type", "tool_use"}, {"id", piece.call_id}, {"name", piece.call_name}, {"input", Json::object()}},
         "input_json_delta", "partial_json", piece.text);
  }
  return std::exchange(frames_, {});
}

std::string AnthropicWriter::StreamEnd(const GenerationEnd& end) {
  if (!end.status) {
    Tell("error", {{"error", AnthropicErrorObject(end.status.error())}});
    return std::exchange(frames_, {});
  }
  Begin(CountsOf(end));
  if (!open_ && next_block_ == 0) Grow({Kind::kText}, TextBlock(""), "text_delta", "text", "");
  Close();
  const Ending ending = EndingOf(end, calls_);
  Tell("message_delta",
       {{"delta", {{"stop_reason", ending.reason}, {"stop_sequence", ending.sequence}}}, {"usage", UsageOf(CountsOf(end))}});
  Tell("message_stop", Json::object());
  return std::exchange(frames_, {});
}

std::string AnthropicWriter::Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) {
  const TextDelta& answer = answers.at(0);
  Json content = Json::array();
  if (!answer.reasoning.empty()) content.push_back({{"type", "thinking"}, {"thinking", answer.reasoning}, {"signature", id_}});
  if (!answer.text.empty() || (answer.calls.empty() && content.empty())) content.push_back(TextBlock(answer.text));
  for (const AnswerPart& call : answer.calls) {
    content.push_back({{"type", "tool_use"}, {"id", call.call_id}, {"name", call.call_name}, {"input", ArgumentsAsObject(call.text)}});
  }
  Json message = Message(std::move(content), CountsOf(end));
  const Ending ending = EndingOf(end, !answer.calls.empty());
  message["stop_reason"] = ending.reason;
  message["stop_sequence"] = ending.sequence;
  return Dump(message);
}

Json AnthropicAnswerSchema() {
  return MessageSchema(words::ListOf(
      words::AnyOf({words::Record({{"type", words::Const("thinking")}, {"thinking", words::String()}, {"signature", words::String()}}),
                    words::Record({{"type", words::Const("text")}, {"text", words::String()}}), CallBlockSchema()})));
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
                    words::Record({{"type", words::Const("text")}, {"text", words::Const("")}}), CallBlockSchema()});
  const Json piece = words::AnyOf({delta("thinking_delta", "thinking"), delta("signature_delta", "signature"), delta("text_delta", "text"),
                                   delta("input_json_delta", "partial_json")});
  const Json ending = words::Record({{"stop_reason", StopReasonSchema()}, {"stop_sequence", words::OrNull(words::String())}});
  return words::AnyOf({event("message_start", {{"message", MessageSchema(Json{{"type", "array"}, {"maxItems", 0}})}}),
                       event("content_block_start", {{"index", words::Integer()}, {"content_block", block}}),
                       event("content_block_delta", {{"index", words::Integer()}, {"delta", piece}}),
                       event("content_block_stop", {{"index", words::Integer()}}),
                       event("message_delta", {{"delta", ending}, {"usage", AnthropicUsageSchema()}}), event("message_stop", {}),
                       event("ping", {}), ErrorBodySchema(ErrorFamily::kAnthropic)});
}

}  // namespace cllm
