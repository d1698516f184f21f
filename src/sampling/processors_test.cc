#include "sampling/processors.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "sampling/candidate.h"

namespace cllm {
namespace {

// Weights 1, 1/2, 1/4, 1/4 at temperature 1: total 2.
std::vector<Candidate> Halves() {
  const auto logit = [](double p) { return static_cast<float>(std::log(p)); };
  return {{7, logit(1.0)}, {3, logit(0.5)}, {1, logit(0.25)}, {9, logit(0.25)}};
}

TEST(PenalizeTest, DividesPositiveAndMultipliesOtherLogits) {
  const SamplingParams params{.repetition_penalty = 2.0};
  EXPECT_EQ(Penalize(3.0F, 1, params), 1.5F);
  EXPECT_EQ(Penalize(-3.0F, 1, params), -6.0F);
  EXPECT_EQ(Penalize(0.0F, 5, params), 0.0F);
  EXPECT_EQ(Penalize(3.0F, 5, params), 1.5F) << "the count plays no part";
}

TEST(PenalizeTest, SubtractsPresenceOnceAndFrequencyByCount) {
  EXPECT_EQ(Penalize(3.0F, 4, {.presence_penalty = 0.5}), 2.5F);
  EXPECT_EQ(Penalize(3.0F, 4, {.frequency_penalty = 0.5}), 1.0F);
  EXPECT_EQ(Penalize(3.0F, 4, {.repetition_penalty = 2.0, .presence_penalty = 0.25, .frequency_penalty = 0.5}), -0.75F);
}

TEST(PenalizeTest, KeepsBansAndNeverMakesInfinity) {
  SamplingParams params{.repetition_penalty = kMinRepetitionPenalty, .frequency_penalty = -kMaxAdditivePenalty};
  EXPECT_EQ(Penalize(-kInfinity, 3, params), -kInfinity);
  EXPECT_EQ(Penalize(3e38F, 3, params), std::numeric_limits<float>::max());
  params.repetition_penalty = kMaxRepetitionPenalty;
  EXPECT_EQ(Penalize(-3e38F, 3, params), std::numeric_limits<float>::lowest());
}

TEST(TopPTest, KeepsTheShortestFrontWithEnoughMass) {
  const auto sorted = Halves();
  const double total = TotalWeight(sorted, 1.0);
  EXPECT_NEAR(total, 2.0, 1e-7);
  EXPECT_EQ(TopPCount(sorted, total, 0.0), 1U);
  EXPECT_EQ(TopPCount(sorted, total, 0.49), 1U);
  EXPECT_EQ(TopPCount(sorted, total, 0.51), 2U);
  EXPECT_EQ(TopPCount(sorted, total, 0.76), 3U);
  EXPECT_EQ(TopPCount(sorted, total, 1.0), 4U);
}

TEST(TopPTest, SaysWhenAFrontPartIsTooShort) {
  const auto sorted = Halves();
  EXPECT_EQ(TopPCount(std::span(sorted).first(2), 2.0, 0.9), std::nullopt);
  EXPECT_EQ(TopPCount({}, 2.0, 0.5), std::nullopt);
}

TEST(MinPTest, FloorIsRelativeToTheBest) {
  EXPECT_EQ(MinPFloor(5.0F, 0.0), -static_cast<double>(kInfinity));
  EXPECT_EQ(MinPFloor(5.0F, 1.0), 5.0);
  const auto sorted = Halves();
  EXPECT_EQ(CountAtLeast(sorted, MinPFloor(sorted[0].logit, 0.3)), 2U);
  EXPECT_EQ(CountAtLeast(sorted, MinPFloor(sorted[0].logit, 0.2)), 4U);
  EXPECT_EQ(CountAtLeast(sorted, MinPFloor(sorted[0].logit, 1.0)), 1U);
}

TEST(DrawTest, InvertsTheCumulativeDistribution) {
  const auto sorted = Halves();
  const double total = TotalWeight(sorted, 1.0);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, 0.0), 0U);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, 0.4999), 0U);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, 0.5001), 1U);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, 0.7501), 2U);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, 0.8751), 3U);
  EXPECT_EQ(DrawIndex(sorted, total, 1.0, std::nextafter(1.0, 0.0)), 3U);
  EXPECT_EQ(DrawIndex(sorted, 2 * total, 1.0, 0.6), std::nullopt);
  const std::vector<Candidate> even = {{0, 0.0F}, {1, 0.0F}};
  EXPECT_EQ(DrawIndex(even, 2.0, 1.0, 0.5), 1U) << "each has half of [0, 1), its lower end included";
}

TEST(DrawTest, TemperatureFlattensOrSharpens) {
  const auto sorted = Halves();
  // At temperature 1/2 the weights are the squares: 1, 1/4, 1/16, 1/16.
  EXPECT_NEAR(TotalWeight(sorted, 0.5), 1.375, 1e-7);
  EXPECT_NEAR(TotalWeight(sorted, 1e9), 4.0, 1e-7);
  EXPECT_EQ(TotalWeight(sorted, 1e-300), 1.0);
  EXPECT_EQ(DrawIndex(sorted, 1.0, 1e-300, 0.999), 0U);
}

TEST(DrawTest, NeverDrawsAWeightOfZero) {
  const std::vector<Candidate> sorted = {{0, 0.0F}, {1, -2000.0F}};
  EXPECT_EQ(DrawIndex(sorted, TotalWeight(sorted, 1.0), 1.0, std::nextafter(1.0, 0.0)), 0U);
}

}  // namespace
}  // namespace cllm
