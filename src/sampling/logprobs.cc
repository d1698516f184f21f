#include "sampling/logprobs.h"

#include <cmath>

namespace cllm {

double LogNormalizer(const LogitRow& raw) { return static_cast<double>(raw.Max()) + std::log(raw.TotalWeight(/*temperature=*/1.0)); }

float Logprob(float logit, double log_normalizer) { return static_cast<float>(static_cast<double>(logit) - log_normalizer); }

std::vector<TokenLogprob> TopLogprobs(const LogitRow& raw, std::size_t count, double log_normalizer, RankingScratch& scratch) {
  std::vector<TokenLogprob> top;
  if (count == 0) return top;
  RankedCandidates ranked(raw, count, -kInfinity, scratch);
  ranked.SortFirst(count);
  top.reserve(ranked.sorted().size());
  for (const Candidate& candidate : ranked.sorted()) {
    top.push_back({.token = candidate.token, .logprob = Logprob(candidate.logit, log_normalizer)});
  }
  return top;
}

}  // namespace cllm
