// The schemas of what ResponseWriter writes.
#include <initializer_list>
#include <utility>

#include "api/openai_fields.h"
#include "api/response_writer.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

Json ResponsePartSchema() {
  return words::AnyOf({words::Record({{"type", words::Const("reasoning_text")}, {"text", words::String()}}),
                       words::Record({{"type", words::Const("output_text")},
                                      {"text", words::String()},
                                      {"annotations", words::ListOf(TokenLogprobSchema())},
                                      {"logprobs", words::ListOf(TokenLogprobSchema())}})});
}

Json ResponseItemSchema() {
  const auto item = [](const char* type, const words::Members& rest, const words::Members& optional = {}) {
    words::Members members{
        {"id", words::String()}, {"type", words::Const(type)}, {"status", words::Enum({"in_progress", "completed", "incomplete"})}};
    members.insert(members.end(), rest.begin(), rest.end());
    return words::Record(members, optional);
  };
  const Json parts = words::ListOf(ResponsePartSchema());
  return words::AnyOf({item("reasoning", {{"summary", words::ListOf(TokenLogprobSchema())}, {"content", parts}}),
                       item("message", {{"role", words::Const("assistant")}, {"content", parts}}),
                       item("function_call", {{"call_id", words::String()}, {"name", words::String()}, {"arguments", words::String()}},
                            {{"namespace", words::String()}})});
}

Json ResponseUsageSchema() {
  const Json count = words::Integer();
  return words::Record({{"input_tokens", count},
                        {"input_tokens_details", words::Record({{"cached_tokens", count}, {"cache_write_tokens", count}})},
                        {"output_tokens", count},
                        {"output_tokens_details", words::Record({{"reasoning_tokens", count}})},
                        {"total_tokens", count}});
}

// What the answer repeats of its request, as it came.
words::Members RequestMembers() {
  const Json text = words::OrNull(words::String());
  return {{"instructions", text},
          {"max_output_tokens", words::OrNull(words::Integer())},
          {"max_tool_calls", words::OrNull(words::Integer())},
          {"parallel_tool_calls", words::Bool()},
          {"previous_response_id", text},
          {"reasoning", words::Record({{"effort", text}, {"summary", Json::object()}})},
          {"service_tier", words::Const("default")},
          {"store", words::Bool()},
          {"temperature", words::Number()},
          {"text", words::Record({{"format", words::AnyObject()}, {"verbosity", words::Enum({"low", "medium", "high"})}})},
          {"tool_choice", words::AnyOf({words::String(), words::AnyObject()})},
          {"tools", words::ListOf(words::AnyObject())},
          {"top_logprobs", words::Integer()},
          {"top_p", words::Number()},
          {"truncation", words::Const("disabled")},
          {"metadata", words::AnyObject()}};
}

Json EventSchema(std::initializer_list<const char*> types, const words::Members& rest) {
  words::Members members{{"type", words::Enum(types)}, {"sequence_number", words::Integer()}};
  members.insert(members.end(), rest.begin(), rest.end());
  return words::Record(members);
}

// About one item of the output, or one part of its text.
Json ItemEventSchema(std::initializer_list<const char*> types, words::Members rest) {
  rest.emplace_back("item_id", words::String());
  rest.emplace_back("output_index", words::Integer());
  return EventSchema(types, rest);
}

}  // namespace

Json ResponseSchema() {
  words::Members members{{"id", words::String()},
                         {"object", words::Const("response")},
                         {"created_at", words::Integer()},
                         {"status", words::Enum({"in_progress", "completed", "incomplete", "failed"})},
                         {"background", words::Const(false)},
                         {"completed_at", words::OrNull(words::Integer())},
                         {"error", words::OrNull(words::Record({{"code", words::String()}, {"message", words::String()}}))},
                         {"incomplete_details", words::OrNull(words::Record({{"reason", words::String()}}))},
                         {"model", words::String()},
                         {"output", words::ListOf(ResponseItemSchema())}};
  for (auto& member : RequestMembers()) members.push_back(std::move(member));
  const Json text = words::String();
  return words::Record(members, {{"usage", ResponseUsageSchema()},
                                 {"seed", words::Integer()},
                                 {"prompt_cache_key", text},
                                 {"safety_identifier", text},
                                 {"user", text}});
}

Json ResponseEventSchema() {
  const std::pair<const char*, Json> text{"text", words::String()};
  const std::pair<const char*, Json> delta{"delta", words::String()};
  const std::pair<const char*, Json> content_index{"content_index", words::Integer()};
  const words::Members entry{{"token", words::String()}, {"logprob", words::Number()}};
  words::Members token = entry;
  token.emplace_back("top_logprobs", words::ListOf(words::Record(entry)));
  const std::pair<const char*, Json> logprobs{"logprobs", words::ListOf(words::Record(token))};
  const std::pair<const char*, Json> part{"part", ResponsePartSchema()};
  return words::AnyOf(
      {EventSchema({"response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"},
                   {{"response", ResponseSchema()}}),
       EventSchema({"response.output_item.added", "response.output_item.done"},
                   {{"output_index", words::Integer()}, {"item", ResponseItemSchema()}}),
       ItemEventSchema({"response.content_part.added", "response.content_part.done"}, {content_index, part}),
       ItemEventSchema({"response.reasoning_text.delta"}, {content_index, delta}),
       ItemEventSchema({"response.reasoning_text.done"}, {content_index, text}),
       ItemEventSchema({"response.output_text.delta"}, {content_index, delta, logprobs}),
       ItemEventSchema({"response.output_text.done"}, {content_index, text, logprobs}),
       ItemEventSchema({"response.function_call_arguments.delta"}, {delta}),
       ItemEventSchema({"response.function_call_arguments.done"}, {{"name", words::String()}, {"arguments", words::String()}}),
       EventSchema({"error"}, {{"code", words::String()}, {"message", words::String()}, {"param", words::OrNull(words::String())}})});
}

}  // namespace cllm
