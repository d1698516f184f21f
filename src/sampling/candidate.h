// A token that may be sampled, the order among candidates, and their weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "sampling/exp.h"

namespace cllm {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Candidate {
  std::int32_t token = 0;
  float logit = 0.0F;

  bool operator==(const Candidate&) const = default;
};

// The one order of candidates: descending logit, and the lower token id first among equals. It is total, so every
// selection and every sum over candidates has exactly one right result.
inline bool RanksBefore(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; }

// (logit - max_logit) / temperature, in [kLowestExponent, 0] for logit <= max_logit and temperature > 0.
// A true division: a multiplication by 1 / temperature would turn 0 * infinity into NaN for tiny temperatures.
inline double WeightExponent(float logit, float max_logit, double temperature) {
  return std::max((static_cast<double>(logit) - static_cast<double>(max_logit)) / temperature, kLowestExponent);
}

// The softmax numerator exp((logit - max_logit) / temperature), in [0, 1].
inline double Weight(float logit, float max_logit, double temperature) {
  return ExpOfNegative(WeightExponent(logit, max_logit, temperature));
}

}  // namespace cllm
