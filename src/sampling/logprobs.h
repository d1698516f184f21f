// Log-probabilities of a row of logits.
#pragma once

#include <cstddef>
#include <vector>

#include "sampling/logit_row.h"
#include "sampling/ranked_candidates.h"
#include "sampling/sampler.h"

namespace cllm {

// What to subtract from a logit to get its log-probability.
double LogNormalizer(const LogitRow& raw);
float Logprob(float logit, double log_normalizer);
// The most likely tokens, best first; fewer than `count` where fewer have a finite logit.
std::vector<TokenLogprob> TopLogprobs(const LogitRow& raw, std::size_t count, double log_normalizer, RankingScratch& scratch);

}  // namespace cllm
