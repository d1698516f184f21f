#include "api/llama_dialect.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "api/constraint_fields.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/prompt_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

constexpr std::size_t kMostResponseFields = 64;
constexpr std::size_t kMostPathBytes = 256;
constexpr std::size_t kMostGapFiles = 1024;

// n_predict under any of its names, where 0 wants nothing but the prompt in the cache. Says whether it does.
bool ReadMostTokens(JsonObject& object, GenerateRequest& request) {
  std::optional<std::int64_t> most;
  for (const char* name : {"n_predict", "max_tokens", "max_completion_tokens", "max_new_tokens"}) {
    const auto value = object.Int(name, kUntilContextEnd, kMostTokensField);
    if (value && most && *value != *most) object.Reject(name, fmt::format("{} contradicts another name of the same field", name));
    if (value) most = value;
  }
  if (!most) return false;
  request.max_tokens = static_cast<int>(*most == 0 ? 1 : std::min<std::int64_t>(*most, 1 << 30));
  return *most == 0;
}

// Texts from elsewhere in the project, of which each may have a name.
std::vector<GapFile> ReadGapFiles(JsonObject& object) {
  const Json* list = object.Any("input_extra", [] {
    return words::ListOf(Json{{"type", "object"},
                              {"properties", {{"text", words::String()}, {"filename", words::String()}}},
                              {"required", Json::array({"text"})}},
                         0, kMostGapFiles);
  });
  std::vector<GapFile> files;
  if (list == nullptr) return files;
  const auto is_text = [](const Json& item, const char* name) { return item.contains(name) && item[name].is_string(); };
  const auto fits = [&](const Json& item) {
    return item.is_object() && is_text(item, "text") && (!item.contains("filename") || is_text(item, "filename"));
  };
  if (!list->is_array() || list->size() > kMostGapFiles || !std::ranges::all_of(*list, fits)) {
    object.Reject("input_extra",
                  fmt::format(R"(input_extra must be an array of at most {} {{"filename": string, "text": string}})", kMostGapFiles));
    return files;
  }
  for (const Json& item : *list) files.push_back({.name = item.value("filename", "tmp"), .text = item["text"].get<std::string>()});
  return files;
}

GapPrompt ReadGap(JsonObject& object) {
  object.Require("input_prefix");
  object.Require("input_suffix");
  const std::string begun = object.String("prompt").value_or("");
  return {.prefix = object.String("input_prefix").value_or("") + begun,
          .suffix = object.String("input_suffix").value_or(""),
          .files = ReadGapFiles(object),
          .names_files = true};
}

}  // namespace

void LlamaDialect::Prepare(GenerateRequest& request) const {
  ApplyDefaults(defaults_, request);
  if (defaults_.max_tokens > 0) request.default_max_tokens = defaults_.max_tokens;
  request.wants_tokens = request.wants_prompt = true;
}

Result<LlamaWriter::Settings> LlamaDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  LlamaWriter::Settings settings{.model = model_.card.id};
  GenerateRequest& request = call.request;
  Prepare(request);
  if (form_ == LlamaForm::kCompletion) ReadPrompts(object, call);
  if (form_ == LlamaForm::kInfill) request.prompt = ReadGap(object);
  ReadModelName(object);
  ReadChoices(object, 1 + static_cast<int>(call.further_prompts.size()), call);
  settings.evaluates_only = ReadMostTokens(object, request);
  settings.until_context_end = request.max_tokens.value_or(request.default_max_tokens.value_or(kUntilContextEnd)) == kUntilContextEnd;
  ReadSamplingFields(object, request);
  ReadConstraint(object, request);
  const auto probabilities = object.Int("n_probs", 0, kMostTopLogprobs);
  settings.shows_probabilities = probabilities.value_or(0) > 0;
  if (settings.shows_probabilities) request.sampling.top_logprobs = static_cast<std::int32_t>(*probabilities);
  const auto most_ms = object.Number("t_max_predict_ms", -1, 1e9);
  if (most_ms.value_or(0) > 0) request.most_generation_s = *most_ms * 1e-3;
  settings.slot = object.Int("id_slot", -1, std::numeric_limits<std::int32_t>::max()).value_or(-1);
  settings.shows_tokens = object.Bool("return_tokens").value_or(false);
  settings.fields = object.Strings("response_fields", kMostResponseFields, kMostPathBytes).value_or(std::vector<std::string>());
  settings.streams = call.stream = object.Bool("stream").value_or(false);
  settings.progress = ReadLlamaProgress(object, call.stream, request);
  PrepareBestOf(object, call);
  if (const Status status = object.Finish(CompletionFields()); !status) return std::unexpected(status.error());
  settings.generation = LlamaGenerationSettings(request, call.stream, model_.ends);
  settings.generation["timings_per_token"] = settings.progress.shows_timings;
  return settings;
}

Result<ParsedCall> LlamaDialect::Parse(std::string_view body, const StopCheck& stop) const {
  if (form_ == LlamaForm::kInfill && !model_.knows_gaps) {
    return Fail(ErrorCode::kNotSupported, "Infill is not supported by this model: it has no tokens for prefix, suffix and middle");
  }
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    Result<LlamaWriter::Settings> settings = ReadFields(object, call);
    if (!settings) return std::unexpected(settings.error());
    call.writer = std::make_unique<LlamaWriter>(std::move(*settings));
    // Each answer has the prompt and all settings in it.
    call.repeated_bytes = body.size() * static_cast<std::size_t>(call.choices) * (1 + call.further_prompts.size());
    return {};
  });
}

Operation LlamaDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = LlamaAnswerSchema(),
          .frame = LlamaFrameSchema(),
          .takes_calls = true};
}

Json LlamaDialect::DefaultSettings() const {
  GenerateRequest request;
  Prepare(request);
  return LlamaGenerationSettings(request, false, model_.ends);
}

}  // namespace cllm
