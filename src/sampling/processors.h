// The steps of the sampling chain as pure functions. Lists of candidates come in the order of RanksBefore, and sums
// over them run in that order, so a result depends on nothing but the arguments.
//
// A truncation keeps the front part of the sorted list and says how long it is. Truncations by rank, by mass and by
// ratio therefore commute once their totals are fixed, which the sampler uses to sort as little as it can.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sampling/candidate.h"
#include "sampling/sampling_params.h"

namespace cllm {

// The logit of a token seen `count` times in the window, count >= 1.
// Repetition: N. S. Keskar et al. 2019, "CTRL", section 4.1, with the usual repair that a logit <= 0 is multiplied
// instead of divided (else a penalty would raise it). Then count x frequency_penalty and presence_penalty are
// subtracted (OpenAI's API). In float, as llama.cpp computes it. A finite logit stays finite, -infinity stays.
float Penalize(float logit, std::int32_t count, const SamplingParams& params);

// Sum of Weight() over `sorted` from front to back; 0 if it is empty.
double TotalWeight(std::span<const Candidate> sorted, double temperature);

// Nucleus sampling (A. Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration"): how many candidates form
// the shortest front part whose weight at temperature 1 is at least top_p x total, at least 1. `total` is the weight of
// the set that `sorted` is the front part of; top_p is in [0, 1]. Nothing if `sorted` weighs less than that.
std::optional<std::size_t> TopPCount(std::span<const Candidate> sorted, double total, double top_p);

// Min-p (Nguyen et al. 2024, "Turning Up the Heat"): the lowest logit of a token that is at least min_p in [0, 1]
// times as likely as the best one, at temperature 1. -infinity for 0.
double MinPFloor(float max_logit, double min_p);

// How many candidates at the front have a logit of at least `floor`.
std::size_t CountAtLeast(std::span<const Candidate> sorted, double floor);

// Inverts the cumulative distribution: the first candidate at which the summed weight exceeds uniform x total, with
// uniform in [0, 1). A candidate of weight 0 is never drawn. Nothing if `sorted` weighs too little; that can't happen
// with total = TotalWeight(sorted, temperature).
std::optional<std::size_t> DrawIndex(std::span<const Candidate> sorted, double total, double temperature, double uniform);

}  // namespace cllm
