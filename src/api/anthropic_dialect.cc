#include "api/anthropic_dialect.h"

#include <ctime>
#include <limits>

#include <fmt/chrono.h>

#include "api/anthropic_messages.h"
#include "api/anthropic_writer.h"
#include "api/body_frame.h"
#include "api/chat_messages.h"
#include "api/constraint_fields.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "api/tool_fields.h"

namespace cllm {
namespace {

// {"effort": …, "format": {"type": "json_schema", "schema": …}}; before it there was output_format, the format alone.
void ReadOutputConfig(JsonObject& object, ChatPrompt& prompt, GenerateRequest& request) {
  static constexpr KnownField kFields[] = {{"task_budget", "[]"}};
  ReadSchemaFormat(object, "output_format", "output_format", request);
  object.Object("output_config", KnownFields(kFields), [&](JsonObject& config) {
    ReadSchemaFormat(config, "format", "output_config.format", request);
    if (const auto effort = config.String("effort")) SetTemplateArgument(config, "effort", "reasoning_effort", *effort, prompt);
  });
}

ChatPrompt ReadCountedFields(JsonObject& object) {
  ChatPrompt prompt = ReadAnthropicPrompt(object);
  GenerateRequest unused;
  ReadTools(object, unused, prompt, ToolForm::kInputSchema);
  return prompt;
}

Json AnthropicModelEntry(const ListedModel& model) {
  const ServerFacts& facts = model.facts;
  return {{"type", "model"},
          {"id", facts.card.id},
          {"display_name", facts.card.id},
          {"created_at", fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(facts.card.created_unix_s)))},
          {"lifecycle", "active"},
          {"max_input_tokens", model.max_context},
          {"max_tokens", model.max_context},
          {"capabilities", nullptr}};
}

}  // namespace

std::string AnthropicModelsBody(const ModelList& models) {
  Json data = Json::array();
  for (const ListedModel& model : models) data.push_back(AnthropicModelEntry(model));
  return Dump(Json{{"data", std::move(data)},
                   {"has_more", false},
                   {"first_id", models.front().facts.card.id},
                   {"last_id", models.back().facts.card.id}});
}

std::string AnthropicModelBody(const ListedModel& model) { return Dump(AnthropicModelEntry(model)); }

Status AnthropicDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  ChatPrompt prompt = ReadAnthropicPrompt(object);
  call.relaxed_schema = ReadTools(object, call.request, prompt, ToolForm::kInputSchema).relaxed;
  ReadModelName(object);
  ReadMaxTokens(object, {"max_tokens"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  if (auto stops = object.Strings("stop_sequences", kMostStopStrings, kMostStopBytes)) call.request.stop = *std::move(stops);
  ReadOutputConfig(object, prompt, call.request);
  prompt.is_constrained = call.request.constraint.has_value();
  call.request.prompt = std::move(prompt);
  call.stream = object.Bool("stream").value_or(false);
  return object.Finish(AnthropicFields());
}

Result<ParsedCall> AnthropicDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    if (const Status status = ReadFields(object, call); !status) return std::unexpected(status.error());
    call.writer = std::make_unique<AnthropicWriter>(model_);
    return {};
  });
}

Operation AnthropicDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = AnthropicAnswerSchema(),
          .frame = AnthropicEventSchema(),
          .takes_calls = true};
}

Result<ChunkedText> CountTokensBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto answer = [&](const ChatPrompt& prompt) -> Result<ChunkedText> {
    const auto encoded = model.Encode(prompt, std::numeric_limits<std::size_t>::max(), limits.stop);
    if (!encoded) return std::unexpected(encoded.error());
    return ChunkedText(Dump(Json{{"input_tokens", encoded->token_count()}}));
  };
  return AnswerBody(body, limits, ReadCountedFields, answer, AnthropicFields());
}

Operation DescribeCountTokens() {
  return {.request = DescribeBodyOf(ReadCountedFields, AnthropicFields()), .answer = words::Record({{"input_tokens", words::Integer()}})};
}

}  // namespace cllm
