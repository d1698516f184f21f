#include "simulation/simulation.h"

#include <gtest/gtest.h>

#include "base/testing_build.h"

namespace cllm {
namespace {

constexpr std::uint64_t kSeeds = kIsSanitized ? 4 : 100;

TEST(SimulationTest, EveryRequestEndsOnceAndNothingLeaksOrStarves) {
  SimulationReport sum;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimulationOptions options{.seed = seed, .requests = 10'000, .check_every = 1};
    const Result<SimulationReport> report = Simulate(options);
    ASSERT_TRUE(report) << report.error().message << "\nagain: " << ReplayCommand(options);
    EXPECT_EQ(report->accepted + report->refused, 10'000);
    for (std::size_t i = 0; i < sum.ends.size(); ++i) sum.ends[i] += report->ends[i];
    sum.refused += report->refused;
    sum.cached_tokens += report->cached_tokens;
    sum.compared += report->compared;
    sum.embeddings += report->embeddings;
    sum.scored += report->scored;
    sum.preemptions += report->preemptions;
  }
  // The runs have seen what they are there for.
  const auto seeds = static_cast<std::int64_t>(kSeeds);
  for (const std::int64_t count : sum.ends) EXPECT_GT(count, 20 * seeds);
  EXPECT_GT(sum.refused, 100 * seeds);
  EXPECT_GT(sum.cached_tokens, 1000 * seeds);
  EXPECT_GT(sum.compared, 100 * seeds);
  EXPECT_GT(sum.embeddings, 100 * seeds);
  EXPECT_GT(sum.scored, 100 * seeds);
  EXPECT_GT(sum.preemptions, 10 * seeds);
}

TEST(SimulationTest, ASeedIsARun) {
  const SimulationOptions options{.seed = 77, .requests = 2000};
  const Result<SimulationReport> once = Simulate(options);
  const Result<SimulationReport> again = Simulate(options);
  ASSERT_TRUE(once && again);
  EXPECT_EQ(once->ends, again->ends);
  EXPECT_EQ(once->steps, again->steps);
  EXPECT_EQ(once->seconds, again->seconds);
  EXPECT_EQ(ReplayCommand(options), "make simulate SEED=77 REQUESTS=2000 CHECK_EVERY=1");
}

}  // namespace
}  // namespace cllm
