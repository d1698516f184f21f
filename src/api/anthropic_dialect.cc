#include "api/anthropic_dialect.h"

#include <ctime>
#include <limits>

#include <fmt/chrono.h>

#include "api/anthropic_messages.h"
#include "api/anthropic_writer.h"
#include "api/body_frame.h"
#include "api/chat_messages.h"
#include "api/constraint_fields.h"
#include "api/json_object.h"
#include "api/sampling_fields.h"
#include "api/tool_fields.h"

namespace cllm {
namespace {

// {"effort": …, "format": {"type": "json_schema", "schema": …}}; before it there was output_format, the format alone.
void ReadOutputConfig(JsonObject& object, ChatPrompt& prompt, GenerateRequest& request) {
  static constexpr KnownField kFields[] = {{"task_budget", "[]"}};
  ReadSchemaFormat(object, "output_format", "output_format", request);
  const Json* json = object.Any("output_config");
  if (json == nullptr) return;
  if (!json->is_object()) return object.Reject("output_config", "output_config must be an object");
  JsonObject config = object.Inner(*json, "output_config.");
  ReadSchemaFormat(config, "format", "output_config.format", request);
  if (const auto effort = config.String("effort")) SetTemplateArgument(config, "effort", "reasoning_effort", *effort, prompt);
  if (Status status = config.Finish(KnownFields(kFields)); !status) object.Reject(std::move(status.error()));
}

Json AnthropicModelEntry(const ServerFacts& facts, int max_context) {
  return {{"type", "model"},
          {"id", facts.card.id},
          {"display_name", facts.card.id},
          {"created_at", fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(facts.card.created_unix_s)))},
          {"lifecycle", "active"},
          {"max_input_tokens", max_context},
          {"max_tokens", max_context}};
}

}  // namespace

std::string AnthropicModelsBody(const ServerFacts& facts, int max_context) {
  return Dump(Json{{"data", Json::array({AnthropicModelEntry(facts, max_context)})},
                   {"has_more", false},
                   {"first_id", facts.card.id},
                   {"last_id", facts.card.id}});
}

Result<std::string> AnthropicModelBody(const ServerFacts& facts, int max_context, const std::string& id) {
  if (Status status = CheckModelId(facts, id); !status) return std::unexpected(status.error());
  return Dump(AnthropicModelEntry(facts, max_context));
}

Result<ParsedCall> AnthropicDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults_.unknown_fields == "ignore" ? &ignored : nullptr);
  ParsedCall call;
  Result<ChatPrompt> prompt = ReadAnthropicPrompt(object);
  if (!prompt) return std::unexpected(prompt.error());
  call.relaxed_schema = ReadTools(object, call.request, *prompt, ToolForm::kInputSchema).relaxed;
  object.String("model");
  ReadMaxTokens(object, {"max_tokens"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  if (auto stops = object.Strings("stop_sequences", kMostStopStrings, kMostStopBytes)) call.request.stop = *std::move(stops);
  ReadOutputConfig(object, *prompt, call.request);
  prompt->is_constrained = call.request.constraint.has_value();
  call.request.prompt = std::move(*prompt);
  call.stream = object.Bool("stream").value_or(false);
  if (const Status status = object.Finish(AnthropicFields()); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<AnthropicWriter>(model_);
  call.ignored_fields = ignored.Take();
  return call;
}

Result<ChunkedText> CountTokensBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto read = [](JsonObject& object) {
    Result<ChatPrompt> prompt = ReadAnthropicPrompt(object);
    GenerateRequest unused;
    if (prompt) ReadTools(object, unused, *prompt, ToolForm::kInputSchema);
    if (prompt) return std::move(*prompt);
    object.Reject(std::move(prompt.error()));
    return ChatPrompt{};
  };
  const auto answer = [&](const ChatPrompt& prompt) -> Result<ChunkedText> {
    const auto encoded = model.Encode(prompt, std::numeric_limits<std::size_t>::max(), limits.stop);
    if (!encoded) return std::unexpected(encoded.error());
    return ChunkedText(Dump(Json{{"input_tokens", encoded->token_count()}}));
  };
  return AnswerBody(body, limits, read, answer, AnthropicFields());
}

}  // namespace cllm
