#include "api/openai_fields.h"

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/schema_words.h"
#include "base/utf8.h"

namespace cllm {
namespace {

Json LogprobEntry(const std::string& bytes, float logprob) {
  Json list = Json::array();
  for (const unsigned char byte : bytes) list.push_back(byte);
  return {{"token", TokenShown(bytes)}, {"logprob", logprob}, {"bytes", list}};
}

}  // namespace

StreamSettings ReadStreamFields(JsonObject& object) {
  StreamSettings settings;
  settings.stream = object.Bool("stream").value_or(false);
  object.Object("stream_options", StreamOptionFields(), [&](JsonObject& options) {
    settings.include_usage = options.Bool("include_usage").value_or(false);
    settings.continuous_usage = options.Bool("continuous_usage_stats").value_or(false);
  });
  return settings;
}

void ReadChoices(JsonObject& object, int prompts, ParsedCall& call) {
  const auto choices = object.Int("n", 1, kMostChoices);
  const auto other_name = object.Int("n_cmpl", 1, kMostChoices);  // llama-server's
  if (choices && other_name && choices != other_name) object.Reject("n_cmpl", "n_cmpl contradicts another name of the same field");
  call.choices = static_cast<int>(choices.value_or(other_name.value_or(1)));
  call.best_of = static_cast<int>(object.Int("best_of", 1, kMostChoices).value_or(call.choices));
  if (call.best_of < call.choices) {
    object.Reject("best_of", fmt::format("best_of is {}, less than the {} answers of n", call.best_of, call.choices));
  }
  if (call.best_of * prompts > kMostChoices) {
    object.Reject(call.best_of > call.choices ? "best_of" : "n",
                  fmt::format("{} answers to each of {} prompts are more than {}", call.best_of, prompts, kMostChoices));
  }
}

void PrepareBestOf(JsonObject& object, ParsedCall& call) {
  if (call.best_of == call.choices) return;
  if (call.stream) object.Reject("best_of", "best_of above n cannot be streamed: which answers are the best is known at their end");
  std::int32_t& logprobs = call.request.sampling.top_logprobs;
  if (logprobs == kNoLogprobs) logprobs = 0;
}

Json EnvelopeSchema(const char* object, Json choice, bool is_whole, const words::Members& others) {
  const Json count = words::Integer();
  const Json usage = words::Record({{"prompt_tokens", count},
                                    {"completion_tokens", count},
                                    {"total_tokens", count},
                                    {"prompt_tokens_details", words::Record({{"cached_tokens", count}})},
                                    {"completion_tokens_details", words::Record({{"reasoning_tokens", count}})}});
  words::Members required{{"id", words::String()},
                          {"object", words::Const(object)},
                          {"created", count},
                          {"model", words::String()},
                          {"choices", words::ListOf(std::move(choice))}};
  words::Members optional{others};
  optional.emplace_back("system_fingerprint", words::String());
  if (is_whole) {
    required.emplace_back("usage", usage);
    required.emplace_back("seed", count);
  } else {
    optional.emplace_back("usage", words::OrNull(usage));
  }
  return words::Record(required, optional);
}

Json StreamSchema(const char* object, Json choice, const words::Members& others) {
  return words::AnyOf({EnvelopeSchema(object, std::move(choice), false, others), ErrorBodySchema(ErrorFamily::kOpenAi)});
}

std::string OpenAiFinishReason(FinishReason reason) { return reason == FinishReason::kLength ? "length" : "stop"; }

Json UsageObject(const TokenCounts& counts) {
  return {{"prompt_tokens", counts.prompt},
          {"completion_tokens", counts.generated},
          {"total_tokens", counts.prompt + counts.generated},
          {"prompt_tokens_details", {{"cached_tokens", counts.cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", counts.reasoning}}}};
}

TokenCounts CountsOf(const GenerationEnd& end) {
  return {.prompt = end.prompt_tokens, .cached = end.cached_tokens, .generated = end.generated_tokens, .reasoning = end.reasoning_tokens};
}

Json UsageObject(const GenerationEnd& end) { return UsageObject(CountsOf(end)); }

Json TokenLogprobSchema() {
  const words::Members entry{{"token", words::String()}, {"logprob", words::Number()}, {"bytes", words::ListOf(words::Integer(0, 255))}};
  words::Members token = entry;
  token.emplace_back("top_logprobs", words::ListOf(words::Record(entry)));
  return words::Record(token);
}

std::optional<int> ReadPromptLogprobs(JsonObject& object, bool is_stream) {
  const auto schema = [] { return words::AnyOf({words::Const(false), words::Integer(0, kMostTopLogprobs)}); };
  if (const Json* value = object.Any("prompt_logprobs", schema); value != nullptr && *value == false) return std::nullopt;
  const auto count = object.Int("prompt_logprobs", 0, kMostTopLogprobs);
  if (!count) return std::nullopt;
  if (is_stream) object.Reject("prompt_logprobs", "prompt_logprobs is not available with stream: true");
  return static_cast<int>(*count);
}

// By the token's id: the prompt's own token first, then the likeliest ones.
Json PromptLogprobs(std::span<const PromptToken> prompt, int alternatives) {
  Json list = Json::array();
  for (const PromptToken& token : prompt) {
    Json entry = Json::object();
    const auto add = [&entry](std::int32_t id, float logprob, std::size_t rank, const std::string& bytes) {
      entry[std::to_string(id)] = {{"logprob", LogprobShown(logprob)}, {"rank", rank}, {"decoded_token", TokenShown(bytes)}};
    };
    const SampledToken& scored = token.text.token;
    add(scored.token, scored.logprob, static_cast<std::size_t>(token.rank), token.text.bytes);
    for (std::size_t i = 0; i < std::min(static_cast<std::size_t>(alternatives), scored.top.size()); ++i) {
      if (scored.top[i].token != scored.token) add(scored.top[i].token, scored.top[i].logprob, i + 1, token.text.top_bytes[i]);
    }
    list.push_back(token.rank > 0 ? std::move(entry) : Json(nullptr));
  }
  return list;
}

Json PromptLogprobsSchema() {
  Json entry = words::AnyObject();
  entry["propertyNames"] = {{"pattern", "^[0-9]+$"}};
  entry["additionalProperties"] =
      words::Record({{"logprob", words::Number()}, {"rank", words::Integer()}, {"decoded_token", words::String()}});
  return words::ListOf(words::OrNull(std::move(entry)));
}

float LogprobShown(float logprob) {
  constexpr float kLeast = -9999.0F;
  return std::max(logprob, kLeast);
}

std::string TokenShown(const std::string& bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.Push(bytes);
  return text + assembler.Finish();
}

Json LogprobEntries(std::span<const TokenText> tokens) {
  Json entries = Json::array();
  for (const TokenText& token : tokens) {
    Json entry = LogprobEntry(token.bytes, token.token.logprob);
    Json top = Json::array();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) {
      top.push_back(LogprobEntry(token.top_bytes[i], token.token.top[i].logprob));
    }
    entry["top_logprobs"] = std::move(top);
    entries.push_back(std::move(entry));
  }
  return entries;
}

OpenAiEnvelope::OpenAiEnvelope(const char* id_prefix, ModelCard model, StreamSettings stream)
    : id_(id_prefix + RandomHexId()), created_(std::time(nullptr)), model_(std::move(model)), stream_(stream) {}

Json OpenAiEnvelope::Object(const char* object) const {
  Json json{{"id", id_}, {"object", object}, {"created", created_}, {"model", model_.id}};
  if (!model_.fingerprint.empty()) json["system_fingerprint"] = model_.fingerprint;
  return json;
}

std::string OpenAiEnvelope::Chunk(const char* object, Json choice, const TokenCounts& counts, const Json& others) const {
  Json chunk = Object(object);
  chunk.update(others);
  chunk["choices"] = Json::array();
  chunk["choices"].push_back(std::move(choice));
  if (stream_.continuous_usage) {
    chunk["usage"] = UsageObject(counts);
  } else if (stream_.include_usage) {
    chunk["usage"] = nullptr;
  }
  return SseFrame(Dump(chunk));
}

std::string OpenAiEnvelope::End(const char* object, const GenerationEnd& end, const Json& others) const {
  std::string frames;
  if (stream_.include_usage) {
    Json chunk = Object(object);
    chunk.update(others);
    chunk["choices"] = Json::array();
    chunk["usage"] = UsageObject(end);
    frames += SseFrame(Dump(chunk));
  }
  return frames + SseFrame("[DONE]");
}

}  // namespace cllm
