#include "api/sampling_fields.h"

#include <charconv>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr double kMostAdditivePenalty = 2.0;
constexpr double kMostBias = 100.0;
constexpr std::size_t kMostBiases = 1024;

// {"50256": -100}: token ids are keys, so they are strings.
void ReadLogitBias(JsonObject& object, SamplingParams& sampling) {
  const Json* biases = object.Any("logit_bias");
  if (biases == nullptr) return;
  const std::string expected =
      fmt::format("logit_bias must be an object of at most {} token ids with numbers from -{} to {}", kMostBiases, kMostBias, kMostBias);
  if (!biases->is_object() || biases->size() > kMostBiases) return object.Reject("logit_bias", expected);
  for (const auto& item : biases->items()) {
    std::int32_t token = 0;
    const std::string& key = item.key();
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool is_id = error == std::errc() && end == key.data() + key.size() && token >= 0;
    const bool is_bias = item.value().is_number() && std::abs(item.value().get<double>()) <= kMostBias;
    if (!is_id || !is_bias) return object.Reject("logit_bias", expected);
    sampling.logit_bias.emplace_back(token, item.value().get<float>());
  }
}

// Two names of one thing may both be sent, but not with two values.
template <typename Value>
void SetOnce(JsonObject& object, const char* name, const std::optional<Value>& value, std::optional<Value>& target) {
  if (!value) return;
  if (target && *target != *value) object.Reject(name, fmt::format("{} contradicts another name of the same field", name));
  target = value;
}

void ReadSeed(JsonObject& object, GenerateRequest& request) {
  // -1 means a random seed, as in llama.cpp.
  const auto seed = object.Int("seed", -1, std::numeric_limits<std::int64_t>::max());
  if (seed && *seed >= 0) request.seed = static_cast<std::uint64_t>(*seed);
}

}  // namespace

void ReadSamplingFields(JsonObject& object, GenerateRequest& request) {
  SamplingParams& sampling = request.sampling;
  const auto set = [](auto& target, const auto& value) {
    if (value) target = static_cast<std::remove_reference_t<decltype(target)>>(*value);
  };
  set(sampling.temperature, object.Number("temperature", 0.0, kMostTemperature));
  set(sampling.top_p, object.Number("top_p", 0.0, 1.0));
  set(sampling.min_p, object.Number("min_p", 0.0, 1.0));
  // -1 and 0 both turn top-k off: the one is vLLM's way, the other llama.cpp's.
  const auto top_k = object.Int("top_k", -1, std::numeric_limits<std::int32_t>::max());
  if (top_k) sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(0, *top_k));
  std::optional<double> penalty;
  for (const char* name : {"repetition_penalty", "repeat_penalty"}) {
    SetOnce(object, name, object.Number(name, kMinRepetitionPenalty, kMaxRepetitionPenalty), penalty);
  }
  set(sampling.repetition_penalty, penalty);
  set(sampling.penalty_last_n, object.Int("repeat_last_n", -1, std::numeric_limits<std::int32_t>::max()));
  set(sampling.presence_penalty, object.Number("presence_penalty", -kMostAdditivePenalty, kMostAdditivePenalty));
  set(sampling.frequency_penalty, object.Number("frequency_penalty", -kMostAdditivePenalty, kMostAdditivePenalty));
  ReadLogitBias(object, sampling);
  set(sampling.allowed, object.TokenIds("allowed_token_ids", kMostTokenIds));
  if (object.Has("allowed_token_ids") && sampling.allowed.empty()) {
    object.Reject("allowed_token_ids", "allowed_token_ids must name a token: without one nothing could be sampled");
  }
  set(sampling.banned, object.TokenIds("banned_token_ids", kMostTokenIds));
  ReadSeed(object, request);
  set(request.stop, object.Strings("stop", kMostStopStrings));
  set(request.stop_tokens, object.TokenIds("stop_token_ids", kMostTokenIds));
  set(request.ignore_eos, object.Bool("ignore_eos"));
  set(request.min_tokens, object.Int("min_tokens", 0, kMostTokensField));
  request.timeout_s = object.Number("timeout", 0.001, 1e9);
  set(request.priority, object.Int("priority", -kMostPriority, kMostPriority));
}

Status ReadPriorityHeader(std::string_view value, GenerateRequest& request) {
  int priority = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), priority);
  const bool is_number = error == std::errc() && end == value.data() + value.size();
  if (!is_number || priority < -kMostPriority || priority > kMostPriority) {
    return InvalidArgument(fmt::format("{} must be an integer from -{} to {}", kPriorityHeader, kMostPriority, kMostPriority),
                           kPriorityHeader);
  }
  if (!request.priority) request.priority = priority;
  return {};
}

void ReadMaxTokens(JsonObject& object, std::initializer_list<const char*> names, GenerateRequest& request) {
  std::optional<std::int64_t> most;
  for (const char* name : names) SetOnce(object, name, object.Int(name, 1, kMostTokensField), most);
  if (most) request.max_tokens = static_cast<int>(*most);
}

}  // namespace cllm
