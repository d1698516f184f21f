#include "api/openai_fields.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

// An unsupported field with a value that asks for nothing.
bool AsksForNothing(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_array() || value.is_object()) return value.empty();
  if (value.is_string()) return value == "none" || value == "auto" || value == "";
  return false;
}

}  // namespace

StreamSettings ReadStreamFields(JsonObject& object) {
  StreamSettings settings;
  settings.stream = object.Bool("stream").value_or(false);
  const Json* options = object.Any("stream_options");
  if (options == nullptr) return settings;
  if (!options->is_object()) {
    object.Reject("stream_options", "stream_options must be an object");
    return settings;
  }
  if (!settings.stream) object.Reject("stream_options", "stream_options needs stream to be true");
  JsonObject reader(*options, "stream_options.");
  settings.include_usage = reader.Bool("include_usage").value_or(false);
  reader.Ignore("include_obfuscation");
  if (const Status status = reader.Finish(); !status) object.Reject("stream_options", status.error().message);
  return settings;
}

int ReadChoices(JsonObject& object, int prompts) {
  const auto choices = static_cast<int>(object.Int("n", 1, kMostChoices).value_or(1));
  if (choices * prompts > kMostChoices) {
    object.Reject("n", fmt::format("{} answers to each of {} prompts are more than {}", choices, prompts, kMostChoices));
  }
  if (object.Int("best_of", 1, kMostChoices).value_or(choices) != choices) {
    object.Reject("best_of", "best_of other than n is not supported yet");
  }
  return choices;
}

void ReadHintsAndUnsupported(JsonObject& object) {
  object.String("model");
  for (const char* hint :
       {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_prompt",
        "id_slot", "parallel_tool_calls", "verbosity", "timings_per_token", "return_tokens", "return_progress", "samplers"}) {
    object.Ignore(hint);
  }
  for (const char* name : {"tools", "tool_choice", "functions", "function_call", "suffix", "echo", "grammar", "json_schema", "modalities",
                           "audio", "prediction", "web_search_options"}) {
    const Json* value = object.Any(name);
    if (value != nullptr && !AsksForNothing(*value)) object.Reject(name, fmt::format("{} is not supported yet", name));
  }
  const Json* format = object.Any("response_format");
  if (format != nullptr && (!format->is_object() || format->value("type", Json()) != "text")) {
    object.Reject("response_format", "response_format other than {\"type\": \"text\"} is not supported yet");
  }
}

std::string OpenAiFinishReason(FinishReason reason) { return reason == FinishReason::kLength ? "length" : "stop"; }

Json UsageObject(const GenerationEnd& end) {
  return {{"prompt_tokens", end.prompt_tokens},
          {"completion_tokens", end.generated_tokens},
          {"total_tokens", end.prompt_tokens + end.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", end.cached_tokens}}}};
}

std::string TokenShown(const std::string& bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.Push(bytes);
  return text + assembler.Finish();
}

}  // namespace cllm
