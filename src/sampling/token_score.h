// How likely a token that is given is, by a row of logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "sampling/sampler.h"

namespace cllm {

// A token of a prompt by the logits before it.
struct TokenScore {
  std::int32_t token = 0;
  // As in TokenLogprob; -infinity where the model excludes the token.
  float logprob = 0.0F;
  // Its place among all tokens, from 1 on; 0 for the first of a prompt, before which there is nothing.
  std::int32_t rank = 0;
  // The most likely tokens, best first, as many as were asked for.
  std::vector<TokenLogprob> top = {};

  bool operator==(const TokenScore&) const = default;
};

// `token` is one of the vocabulary. The same as a Sample that draws it says, byte for byte. kInternal if the row holds NaN or +infinity, or
// nothing but -infinity.
Result<TokenScore> ScoreToken(std::span<const float> logits, std::int32_t token, int alternatives, SamplerScratch& scratch);

}  // namespace cllm
