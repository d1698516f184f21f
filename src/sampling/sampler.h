// From a row of logits to a token.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "sampling/logit_row.h"
#include "sampling/ranked_candidates.h"
#include "sampling/sampling_params.h"
#include "sampling/token_constraint.h"
#include "sampling/token_window.h"

namespace cllm {

struct TokenLogprob {
  std::int32_t token = 0;
  // Natural logarithm of the probability that the engine's own logits give the token, over the whole vocabulary: before
  // bias, bans, penalties, truncation and temperature.
  float logprob = 0.0F;

  bool operator==(const TokenLogprob&) const = default;
};

struct SampledToken {
  std::int32_t token = 0;
  // Of `token`, as in TokenLogprob; 0 unless params.top_logprobs >= 0.
  float logprob = 0.0F;
  // The most likely tokens, best first: params.top_logprobs of them, fewer if fewer have a finite logit. Asking for
  // them is the one case in which a sample allocates.
  std::vector<TokenLogprob> top;
};

// Working memory of Sample(): one for each thread, handed to any sampler. It grows to what the rows need (some 10 KB
// for the usual chain, up to 8 bytes a token of the vocabulary without top-k, 4 more each with allowed tokens and with a mask) and carries
// nothing from call to call.
struct SamplerScratch {
  std::vector<float> block_max;
  std::vector<LogitPatch> patches;
  std::vector<float> allowed;
  std::vector<float> unmasked;
  RankingScratch ranking;
};

// The sampler of one choice of one request. What it samples is a function of its parameters, the accepted tokens, the
// row and the position; rows around it, threads and earlier draws play no part.
class Sampler {
 public:
  // `choice` is the index among a request's n answers, so that they differ under one seed. Parameters out of the bounds
  // in sampling_params.h are a bug of the caller.
  Sampler(SamplingParams params, std::uint32_t choice);

  // Tells the penalties of a token (>= 0) of the sequence: first those of the prompt, then each sampled one.
  void Accept(std::int32_t token);
  void Accept(std::span<const std::int32_t> tokens);

  // Samples the token that follows from `logits` (one for each token of the vocabulary, not changed); `position` is its
  // place in the sequence and chooses the random number. Only tokens that `mask` allows are sampled; one that it forces is taken
  // whatever else was asked for. kInternal if the row holds NaN or +infinity, or nothing but -infinity; kInvalidArgument
  // if the parameters and the mask leave no token.
  Result<SampledToken> Sample(std::span<const float> logits, std::uint64_t position, SamplerScratch& scratch,
                              const TokenMask& mask = {}) const;

  const SamplingParams& params() const { return params_; }

 private:
  bool Penalizes() const;
  bool HasTopK(const LogitRow& row) const;
  using Biases = std::vector<std::pair<std::int32_t, float>>;
  static Biases MergedBiases(const SamplingParams& params, bool at_first);
  void BuildPatches(std::span<const float> logits, const Biases& biases, std::vector<LogitPatch>& patches) const;
  Result<std::int32_t> Choose(std::span<const float> logits, LogitRow row, std::uint64_t position, SamplerScratch& scratch,
                              const TokenMask& mask) const;
  std::int32_t Draw(const LogitRow& row, double uniform, RankingScratch& scratch) const;
  std::span<const Candidate> Truncate(const LogitRow& row, RankedCandidates& ranked, double floor) const;

  SamplingParams params_;
  std::uint32_t choice_;
  // Biases and bans (as -infinity), ascending by token, one entry each.
  Biases biases_;
  Biases biases_at_first_;
  TokenWindow window_;
};

}  // namespace cllm
