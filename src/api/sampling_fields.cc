#include "api/sampling_fields.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/schema_words.h"

namespace cllm {
namespace {

constexpr double kMostAdditivePenalty = 2.0;
constexpr double kMostBias = 100.0;
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kMostSaltBytes = 1024;

Json LogitBiasSchema() {
  const Json bias = words::Number(-kMostBias, kMostBias);
  Json by_id = words::AnyObject();
  by_id["maxProperties"] = kMostBiases;
  by_id["propertyNames"] = {{"pattern", "^[0-9]+$"}};
  by_id["additionalProperties"] = bias;
  const Json pair{{"type", "array"},
                  {"prefixItems", Json::array({words::TokenId(), words::AnyOf({bias, words::Const(false)})})},
                  {"minItems", 2},
                  {"maxItems", 2}};
  return words::AnyOf({by_id, words::ListOf(pair, 0, kMostBiases)});
}

// Keys of an object are strings.
std::optional<TokenId> TokenOfKey(const std::string& key) {
  TokenId token = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
  return error == std::errc() && end == key.data() + key.size() && token >= 0 ? std::optional(token) : std::nullopt;
}

// False where it is no bias of a token.
bool AddBias(std::optional<TokenId> token, const Json& bias, SamplingParams& sampling) {
  if (!token || !bias.is_number() || std::abs(bias.get<double>()) > kMostBias) return false;
  sampling.logit_bias.emplace_back(*token, bias.get<float>());
  return true;
}

// llama-server's [50256, -100], or [50256, false] for a ban.
bool AddBiasPair(const Json& pair, SamplingParams& sampling) {
  if (!pair.is_array() || pair.size() != 2) return false;
  const std::optional<TokenId> token = AsTokenId(pair[0]);
  if (pair[1] != false || !token) return AddBias(token, pair[1], sampling);
  sampling.banned.push_back(*token);
  return true;
}

// OpenAI's {"50256": -100}, or llama-server's list of pairs.
void ReadLogitBias(JsonObject& object, SamplingParams& sampling) {
  const Json* biases = object.Any("logit_bias", LogitBiasSchema);
  if (biases == nullptr) return;
  bool fits = biases->is_structured() && biases->size() <= kMostBiases;
  if (fits && biases->is_array()) fits = std::ranges::all_of(*biases, [&](const Json& pair) { return AddBiasPair(pair, sampling); });
  if (fits && biases->is_object()) {
    for (const auto& item : biases->items()) fits = fits && AddBias(TokenOfKey(item.key()), item.value(), sampling);
  }
  if (fits) return;
  object.Reject("logit_bias",
                fmt::format("logit_bias must be an object of at most {} token ids with numbers from -{} to {}, or a list of pairs "
                            "of these",
                            kMostBiases, kMostBias, kMostBias));
}

// Two names of one thing may both be sent, but not with two values.
template <typename Value>
void SetOnce(JsonObject& object, const char* name, const std::optional<Value>& value, std::optional<Value>& target) {
  if (!value) return;
  if (target && *target != *value) object.Reject(name, fmt::format("{} contradicts another name of the same field", name));
  target = value;
}

// A bound beyond any context.
std::optional<int> AsLength(std::optional<std::int64_t> tokens) {
  constexpr std::int64_t kMost = 1 << 30;
  return tokens ? std::optional(static_cast<int>(std::min(*tokens, kMost))) : std::nullopt;
}

// Any 64 bits; -1 means a random seed, as in llama.cpp. random_seed is Mistral's name.
void ReadSeed(JsonObject& object, GenerateRequest& request) {
  std::optional<std::int64_t> seed;
  for (const char* name : {"seed", "random_seed"}) {
    using Limits = std::numeric_limits<std::int64_t>;
    SetOnce(object, name, object.Int(name, Limits::min(), Limits::max()), seed);
  }
  if (!seed) return;
  request.seed = *seed == -1 ? std::nullopt : std::optional(static_cast<std::uint64_t>(*seed));
}

// llama-server's list of samplers, or its string with a letter for each. The order is fixed, and each sampler has a value that
// turns it off; those that there are not are off in any list.
void ReadSamplers(JsonObject& object) {
  constexpr std::pair<char, std::string_view> kLetters[] = {{'d', "dry"},         {'k', "top_k"},     {'y', "typ_p"},       {'p', "top_p"},
                                                            {'s', "top_n_sigma"}, {'m', "min_p"},     {'t', "temperature"}, {'x', "xtc"},
                                                            {'e', "penalties"},   {'a', "adaptive_p"}};
  const Json* samplers = object.Any("samplers", [&] {
    const std::string off = "[dysxa]*";  // anywhere
    return words::AnyOf({words::Matching(fmt::format("^{0}e{0}k{0}p{0}m{0}t{0}$", off)), words::ListOf(words::String())});
  });
  if (samplers == nullptr) return;
  std::vector<std::string> names;
  if (samplers->is_string()) {
    for (const char letter : samplers->get_ref<const std::string&>()) {
      const auto found = std::ranges::find(kLetters, letter, &std::pair<char, std::string_view>::first);
      names.emplace_back(found == std::end(kLetters) ? "?" : found->second);
    }
  } else if (samplers->is_array()) {
    for (const Json& name : *samplers) names.push_back(name.is_string() ? name.get<std::string>() : "?");
  }
  std::erase_if(names, [](const std::string& name) {
    constexpr std::string_view kOff[] = {"dry", "typ_p", "typical_p", "top_n_sigma", "xtc", "adaptive_p"};
    return std::ranges::find(kOff, name) != std::end(kOff);
  });
  if (names == std::vector<std::string>{"penalties", "top_k", "top_p", "min_p", "temperature"}) return;
  object.Reject("samplers",
                "samplers other than penalties, top_k, top_p, min_p and temperature, in this order, are not supported: each is "
                "turned off by its value");
}

// vLLM's name and SGLang's for what keeps the caches of one's requests apart from those of others.
void ReadCacheSalt(JsonObject& object, GenerateRequest& request) {
  std::optional<std::string> salt;
  for (const char* name : {"cache_salt", "extra_key"}) {
    object.Any(name, [] { return words::Text(1, kMostSaltBytes); });
    const auto value = object.String(name);
    if (value && (value->empty() || value->size() > kMostSaltBytes)) {
      object.Reject(name, fmt::format("{} must have 1 to {} bytes", name, kMostSaltBytes));
    }
    SetOnce(object, name, value, salt);
  }
  if (salt) request.cache_salt = *salt;
}

}  // namespace

void ApplyDefaults(const RequestDefaults& defaults, GenerateRequest& request) {
  request.sampling = defaults.sampling;
  if (defaults.seed != -1) request.seed = static_cast<std::uint64_t>(defaults.seed);
}

std::int64_t SeedShown(std::uint64_t seed) { return static_cast<std::int64_t>(seed); }

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
  object.Any("allowed_token_ids", [] { return words::ListOf(words::TokenId(), 1, kMostTokenIds); });
  set(sampling.allowed, object.TokenIds("allowed_token_ids", kMostTokenIds));
  if (object.Has("allowed_token_ids") && sampling.allowed.empty()) {
    object.Reject("allowed_token_ids", "allowed_token_ids must name a token: without one nothing could be sampled");
  }
  if (const auto banned = object.TokenIds("banned_token_ids", kMostTokenIds)) {
    sampling.banned.insert(sampling.banned.end(), banned->begin(), banned->end());
  }
  ReadSeed(object, request);
  ReadSamplers(object);
  set(request.stop, object.Strings("stop", kMostStopStrings, kMostStopBytes));
  set(request.stop_tokens, object.TokenIds("stop_token_ids", kMostTokenIds));
  set(request.include_stop, object.Bool("include_stop_str_in_output"));
  if (const auto skips = object.Bool("skip_special_tokens")) request.show_special_tokens = !*skips;
  set(request.ignore_eos, object.Bool("ignore_eos"));
  set(request.min_tokens, AsLength(object.Int("min_tokens", 0, kMostTokensField)));
  ReadCacheSalt(object, request);
  ReadTurnFields(object, request.timeout_s, request.priority);
}

void ReadTurnFields(JsonObject& object, std::optional<double>& timeout_s, std::optional<int>& priority) {
  if (const auto seconds = object.Number("timeout", 0.001, 1e9)) timeout_s = *seconds;
  if (const auto seconds = object.Int("priority", -kMostPriority, kMostPriority)) priority = static_cast<int>(*seconds);
}

Status ReadPriorityHeader(std::string_view value, std::optional<int>& wanted) {
  int priority = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), priority);
  const bool is_number = error == std::errc() && end == value.data() + value.size();
  if (!is_number || priority < -kMostPriority || priority > kMostPriority) {
    return InvalidArgument(fmt::format("{} must be an integer from -{} to {}", kPriorityHeader, kMostPriority, kMostPriority),
                           kPriorityHeader);
  }
  if (!wanted) wanted = priority;
  return {};
}

void ReadMaxTokens(JsonObject& object, std::initializer_list<const char*> names, GenerateRequest& request, int least) {
  std::optional<std::int64_t> most;
  for (const char* name : names) {
    object.Any(name, [least] { return words::AnyOf({words::Const(kUntilContextEnd), words::Integer(least, kMostTokensField)}); });
    const auto value = object.Int(name, kUntilContextEnd, kMostTokensField);
    if (value == 0 && least > 0)
      object.Reject(name, fmt::format("{} must be at least 1, or -1 for as many as the context has room for, not 0", name));
    SetOnce(object, name, value, most);
  }
  if (most) request.max_tokens = AsLength(most);
}

}  // namespace cllm
