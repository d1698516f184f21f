#include "api/responses_dialect.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/chat_messages.h"
#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/response_items.h"
#include "api/response_writer.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "api/tool_fields.h"
#include "base/utf8.h"

namespace cllm {
namespace {

// OpenAI's bounds.
constexpr std::size_t kMostMetadata = 16;
constexpr std::size_t kMostMetadataName = 64;
constexpr std::size_t kMostMetadataText = 512;

// The answer and whatever goes on from it show these.
void ReadMetadata(JsonObject& object) {
  const Json* metadata = object.Any("metadata", [] {
    Json schema = words::AnyObject();
    schema["maxProperties"] = kMostMetadata;
    schema["propertyNames"] = {{"maxLength", kMostMetadataName}};
    schema["additionalProperties"] = words::Text(0, kMostMetadataText);
    return schema;
  });
  if (metadata == nullptr) return;
  const auto is_good = [](const auto& item) {
    return item.key().size() <= kMostMetadataName && item.value().is_string() &&
           item.value().template get_ref<const std::string&>().size() <= kMostMetadataText;
  };
  bool is_fine = metadata->is_object() && metadata->size() <= kMostMetadata;
  if (is_fine) {
    for (const auto& item : metadata->items()) is_fine = is_fine && is_good(item);
  }
  if (is_fine) return;
  object.Reject("metadata", fmt::format("metadata must be an object of at most {} names of {} bytes with strings of at most {} bytes",
                                        kMostMetadata, kMostMetadataName, kMostMetadataText));
}

// What of an answer is shown beside what always is: log-probabilities are. Reasoning is shown in the open, which is all that its encrypted
// form is for.
bool ReadInclude(JsonObject& object) {
  bool logprobs = false;
  const Json* include = object.Any("include", [] {
    return words::ListOf(words::Enum(
        {"reasoning.encrypted_content", "message.output_text.logprobs", "web_search_call.action.sources", "web_search_call.results"}));
  });
  if (include == nullptr) return logprobs;
  if (!include->is_array()) {
    object.Reject("include", "include must be an array of strings");
    return logprobs;
  }
  for (const Json& item : *include) {
    const bool asks_for_nothing =
        item == "reasoning.encrypted_content" || item == "web_search_call.action.sources" || item == "web_search_call.results";
    if (asks_for_nothing) continue;
    if (item == "message.output_text.logprobs") {
      logprobs = true;
      continue;
    }
    object.Reject("include",
                  fmt::format("include: {} is not supported", Dump(Shortened(item.is_string() ? item.get<std::string>() : Dump(item)))));
  }
  return logprobs;
}

// top_logprobs is the number of alternatives.
bool ReadTextLogprobs(JsonObject& object, SamplingParams& sampling) {
  const bool wanted = ReadInclude(object);
  const auto top = object.Int("top_logprobs", 0, kMostTopLogprobs);
  if (top.value_or(0) > 0 && !wanted) {
    object.Reject("top_logprobs", R"(top_logprobs needs "message.output_text.logprobs" in include)");
  }
  if (wanted) sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  return wanted;
}

// {"format": …, "verbosity": …}
void ReadText(JsonObject& object, GenerateRequest& request, ChatPrompt& prompt) {
  object.Object("text", {}, [&](JsonObject& text) {
    ReadSchemaFormat(text, "format", "text.format", request);
    ReadVerbosity(text, prompt);
  });
}

// The field `name` of the object `field`, or null.
Json InnerField(JsonObject& object, const char* field, const char* name) {
  const Json* json = object.Any(field);
  return json != nullptr && json->contains(name) ? json->at(name) : Json(nullptr);
}

// The tools as sent, with what the clients' types insist on.
Json ToolsShown(JsonObject& object) {
  const Json* sent = object.Any("tools");
  Json tools = Json::array();
  if (sent == nullptr || !sent->is_array()) return tools;
  for (Json tool : *sent) {
    if (const auto type = tool.find("type"); type != tool.end() && type->is_string() && *type != "function") {
      tools.push_back(std::move(tool));
      continue;
    }
    tool["type"] = "function";
    for (const char* name : {"description", "parameters", "strict"}) {
      if (!tool.contains(name)) tool[name] = nullptr;
    }
    if (tool["strict"].is_null()) tool["strict"] = false;
    tools.push_back(std::move(tool));
  }
  return tools;
}

// What an answer repeats of its request, as fields without the braces around them.
std::string RequestFieldsShown(JsonObject& object, const GenerateRequest& request, bool is_kept) {
  const auto sent = [&](const char* name, Json otherwise = nullptr) {
    const Json* json = object.Any(name);
    return json != nullptr ? *json : std::move(otherwise);
  };
  Json format = InnerField(object, "text", "format");
  if (format.is_null()) format = {{"type", "text"}};
  Json verbosity = InnerField(object, "text", "verbosity");
  const auto& prompt = std::get<ChatPrompt>(request.prompt);
  const Json most_calls = sent("max_tool_calls");
  Json shown{
      {"instructions", sent("instructions")},
      {"max_output_tokens", sent("max_output_tokens")},
      {"max_tool_calls", most_calls.is_number_integer() ? most_calls : Json(nullptr)},
      {"parallel_tool_calls", prompt.parallel_tool_calls},
      {"previous_response_id", sent("previous_response_id")},
      {"reasoning", {{"effort", InnerField(object, "reasoning", "effort")}, {"summary", InnerField(object, "reasoning", "summary")}}},
      {"service_tier", "default"},
      {"store", is_kept},
      {"temperature", request.sampling.temperature},
      {"text", {{"format", std::move(format)}, {"verbosity", verbosity.is_null() ? "medium" : std::move(verbosity)}}},
      {"tool_choice", sent("tool_choice", "auto")},
      {"tools", ToolsShown(object)},
      {"top_logprobs", std::max(request.sampling.top_logprobs, 0)},
      {"top_p", request.sampling.top_p},
      {"truncation", "disabled"},
      {"metadata", sent("metadata", Json::object())}};
  // Hints may hold anything; what is repeated of them is what clients' types can read.
  for (const char* name : {"prompt_cache_key", "safety_identifier", "user"}) {
    if (Json hint = sent(name); hint.is_string()) shown[name] = std::move(hint);
  }
  const std::string text = Dump(shown);
  return text.substr(1, text.size() - 2);
}

void ReadInstructions(JsonObject& object, ChatPrompt& prompt) {
  const auto instructions = object.String("instructions");
  if (instructions && !instructions->empty()) prompt.messages.push_back({.role = "system", .content = *instructions});
}

constexpr const char* kNoInput = "input must be a string or an array of at least one item";

// What a request says to the model, which goes on from nothing that is kept.
ChatPrompt ReadCountedResponse(JsonObject& object) {
  ChatPrompt prompt;
  ReadInstructions(object, prompt);
  ItemReader reader(prompt.messages);
  object.Require("input", kNoInput);
  if (ReadInput(object, reader).empty()) object.Reject("input", kNoInput);
  GenerateRequest unused;
  ReadTools(object, unused, prompt, ToolForm::kFlat);
  ReadTemplateArguments(object, prompt);
  ReadText(object, unused, prompt);
  prompt.is_constrained = unused.constraint.has_value();
  object.Word("truncation", {"auto", "disabled"});
  return prompt;
}

std::size_t BytesHeld(const ResponseWriter::Parts& parts) {
  std::size_t bytes = parts.request_fields.size();
  for (const StoredItem& item : parts.input) bytes += sizeof(item) + item.json.size();
  for (const auto& turn : parts.before) bytes += turn->memory.bytes();
  return bytes;
}

}  // namespace

// Instructions are of this request alone: those of an earlier one are no part of the conversation.
Result<ChatPrompt> ResponsesDialect::ReadConversation(JsonObject& object, ResponseWriter::Parts& parts, const StopCheck& stop) const {
  ChatPrompt prompt;
  ReadInstructions(object, prompt);
  ItemReader reader(prompt.messages);
  const auto previous = object.String("previous_response_id");
  if (previous) {
    const auto kept = store_->Find(parts.owner, *previous, std::chrono::steady_clock::now());
    if (!kept) {
      return Fail(
          ErrorCode::kPreviousNotFound,
          fmt::format("there is no response {} to go on from: it was never kept, is deleted, or too old", Dump(Shortened(*previous))),
          "previous_response_id");
    }
    parts.before = kept->turns;
    if (Status status = reader.AddKept(parts.before, stop); !status) return std::unexpected(status.error());
  }
  parts.input = ReadInput(object, reader);
  object.RequireOneOf({"input", "previous_response_id"}, kNoInput);
  if (parts.input.empty() && !previous) object.Reject("input", kNoInput);
  return prompt;
}

Status ResponsesDialect::ReadFields(JsonObject& object, ResponseWriter::Parts& parts, ParsedCall& call, const StopCheck& stop) const {
  Result<ChatPrompt> prompt = ReadConversation(object, parts, stop);
  if (!prompt) return std::unexpected(prompt.error());
  ToolSettings tools = ReadTools(object, call.request, *prompt, ToolForm::kFlat);
  call.relaxed_schema = std::move(tools.relaxed);
  parts.namespaced = std::move(tools.namespaced);
  ReadModelName(object);
  ReadMaxTokens(object, {"max_output_tokens"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadTemplateArguments(object, *prompt);
  ReadText(object, call.request, *prompt);
  prompt->is_constrained = call.request.constraint.has_value();
  call.request.prompt = std::move(*prompt);
  parts.shows_logprobs = ReadTextLogprobs(object, call.request.sampling);
  ReadMetadata(object);
  object.Word("truncation", {"auto", "disabled"});  // what does not fit is an error with either
  if (object.Bool("store").value_or(true) && store_->enabled()) parts.store = store_;
  parts.stream = call.stream = ReadStreamFields(object).stream;
  return object.Finish(ResponseFields());
}

Result<ParsedCall> ResponsesDialect::ParseFor(const std::string& owner, std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    ResponseWriter::Parts parts{.model = model_, .request_fields = {}, .owner = owner};
    if (const Status status = ReadFields(object, parts, call, stop); !status) return std::unexpected(status.error());
    parts.request_fields = RequestFieldsShown(object, call.request, parts.store != nullptr);
    call.repeated_bytes = 2 * parts.request_fields.size();
    call.held_bytes = call.repeated_bytes + BytesHeld(parts);
    call.writer = std::make_unique<ResponseWriter>(std::move(parts));
    return {};
  });
}

Result<ChunkedText> CountInputTokensBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto answer = [&](const ChatPrompt& prompt) -> Result<ChunkedText> {
    const auto encoded = model.Encode(prompt, std::numeric_limits<std::size_t>::max(), limits.stop);
    if (!encoded) return std::unexpected(encoded.error());
    return ChunkedText(Dump(Json{{"object", "response.input_tokens"}, {"input_tokens", encoded->token_count()}}));
  };
  return AnswerBody(body, limits, ReadCountedResponse, answer, ResponseFields());
}

Operation DescribeCountInputTokens() {
  return {.request = DescribeBodyOf(ReadCountedResponse, ResponseFields()),
          .answer = words::Record({{"object", words::Const("response.input_tokens")}, {"input_tokens", words::Integer()}})};
}

Operation ResponsesDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) {
    ResponseWriter::Parts parts;
    return ReadFields(object, parts, call, {});
  };
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = ResponseSchema(),
          .frame = ResponseEventSchema(),
          .takes_calls = true};
}

}  // namespace cllm
