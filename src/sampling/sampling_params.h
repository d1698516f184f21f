// What a request asks of its sampler. Plain data: api/ checks the bounds and names the field; the sampler asserts them.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "base/fields.h"

namespace cllm {

inline constexpr double kMaxTemperature = 100.0;
inline constexpr double kMinRepetitionPenalty = 0.01;
inline constexpr double kMaxRepetitionPenalty = 100.0;
inline constexpr double kMaxAdditivePenalty = 100.0;
// A window or a list of alternatives that means "all of it" or "none".
inline constexpr std::int32_t kWholeContext = -1;
inline constexpr std::int32_t kNoLogprobs = -1;

// Defaults and the order of the chain are llama-server's:
// allowed tokens, logit bias and bans, penalties, top-k, top-p, min-p, temperature, draw.
struct SamplingParams {
  // [0, kMaxTemperature]. Exactly 0 is greedy: the highest logit, the lowest token id among equals, no random number.
  double temperature = 0.8;
  // >= 0; 0 turns it off.
  std::int32_t top_k = 40;
  // [0, 1]; 1 turns it off, 0 keeps the best token only.
  double top_p = 0.95;
  // [0, 1]; 0 turns it off, 1 keeps only tokens as good as the best.
  double min_p = 0.05;
  // [kMinRepetitionPenalty, kMaxRepetitionPenalty]; 1 turns it off, above 1 makes repeats less likely.
  double repetition_penalty = 1.0;
  // [-kMaxAdditivePenalty, kMaxAdditivePenalty]; 0 turns it off. Subtracted once from each token seen in the window.
  double presence_penalty = 0.0;
  // As above, subtracted once for each time that the token was seen in the window.
  double frequency_penalty = 0.0;
  // Tokens of prompt and answer that the penalties look back on, >= 0, or kWholeContext.
  std::int32_t penalty_last_n = 64;
  std::uint64_t seed = 0;
  // Added to the logits; each finite or -infinity (a ban). Entries for the same token add up; ids beyond the vocabulary
  // are ignored.
  std::vector<std::pair<std::int32_t, float>> logit_bias = {};
  // Tokens that are never sampled, such as the end-of-generation tokens under ignore_eos.
  std::vector<std::int32_t> banned = {};
  // Tokens that are not sampled for positions below `banned_until`, such as those that end an answer before min_tokens.
  std::vector<std::int32_t> banned_at_first = {};
  std::uint64_t banned_until = 0;
  // Where there are any, no other token is sampled. Ids beyond the vocabulary are ignored.
  std::vector<std::int32_t> allowed = {};
  // kNoLogprobs; 0: the log-probability of the chosen token; n > 0: also those of the n most likely tokens.
  std::int32_t top_logprobs = kNoLogprobs;
};

// All of them, for whoever compares, writes or hashes parameters.
inline auto FieldsOf(const SamplingParams& params) {
  return std::tie(params.temperature, params.top_k, params.top_p, params.min_p, params.repetition_penalty, params.presence_penalty,
                  params.frequency_penalty, params.penalty_last_n, params.seed, params.logit_bias, params.banned, params.banned_at_first,
                  params.banned_until, params.allowed, params.top_logprobs);
}
static_assert(std::tuple_size_v<decltype(FieldsOf(SamplingParams()))> == FieldCount<SamplingParams>(), "FieldsOf names every field");

}  // namespace cllm
