#include "sampling/processors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/invariant.h"

namespace cllm {

float Penalize(float logit, std::int32_t count, const SamplingParams& params) {
  CheckInvariant(count >= 1, "only a token that was seen is penalized");
  if (logit == -std::numeric_limits<float>::infinity()) return logit;
  const auto repetition = static_cast<float>(params.repetition_penalty);
  logit = logit <= 0 ? logit * repetition : logit / repetition;
  logit -= static_cast<float>(count) * static_cast<float>(params.frequency_penalty) + static_cast<float>(params.presence_penalty);
  return std::clamp(logit, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
}

double TotalWeight(std::span<const Candidate> sorted, double temperature) {
  double total = 0.0;
  for (const Candidate& candidate : sorted) total += Weight(candidate.logit, sorted.front().logit, temperature);
  return total;
}

std::optional<std::size_t> TopPCount(std::span<const Candidate> sorted, double total, double top_p) {
  const double wanted = top_p * total;
  double sum = 0.0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += Weight(sorted[i].logit, sorted.front().logit, 1.0);
    if (sum >= wanted) return i + 1;
  }
  return std::nullopt;
}

double MinPFloor(float max_logit, double min_p) { return static_cast<double>(max_logit) + std::log(min_p); }

std::size_t CountAtLeast(std::span<const Candidate> sorted, double floor) {
  const auto below = std::ranges::partition_point(sorted, [floor](const Candidate& c) { return c.logit >= floor; });
  return static_cast<std::size_t>(below - sorted.begin());
}

std::optional<std::size_t> DrawIndex(std::span<const Candidate> sorted, double total, double temperature, double uniform) {
  CheckInvariant(uniform >= 0.0 && uniform < 1.0, "a draw is in [0, 1)");
  const double wanted = uniform * total;
  double sum = 0.0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += Weight(sorted[i].logit, sorted.front().logit, temperature);
    if (sum > wanted) return i;
  }
  return std::nullopt;
}

}  // namespace cllm
