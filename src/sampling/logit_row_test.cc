#include "sampling/logit_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "sampling/candidate.h"
#include "sampling/ranked_candidates.h"

namespace cllm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Around the sizes of lanes and blocks.
constexpr std::size_t kSizes[] = {1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 1000, 20'000};

std::vector<float> RandomRow(std::size_t size, bool with_ties, std::mt19937& generator) {
  std::normal_distribution<float> normal(-2.0F, 3.0F);
  std::vector<float> row(size);
  for (float& logit : row) {
    logit = normal(generator);
    if (with_ties) logit = std::round(logit);
    if (generator() % 16 == 0) logit = -kInfinity;
  }
  row[generator() % size] = 1.0F;
  return row;
}

std::vector<Candidate> SortedByHand(const std::vector<float>& row, double floor) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] > -kInfinity && row[i] >= floor) all.push_back({static_cast<std::int32_t>(i), row[i]});
  }
  std::ranges::stable_sort(all, [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  return all;
}

// About one token in ten gets another value; `row` becomes what the patched row must look like.
std::vector<LogitPatch> RandomPatches(std::vector<float>& row, std::mt19937& generator) {
  std::vector<LogitPatch> patches;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (generator() % 10 != 0) continue;
    row[i] = generator() % 4 == 0 ? -kInfinity : static_cast<float>(generator() % 12) - 4.0F;
    patches.push_back({static_cast<std::int32_t>(i), row[i]});
  }
  row[0] = 0.5F;
  if (patches.empty() || patches.front().token != 0) patches.insert(patches.begin(), LogitPatch{0, 0.5F});
  patches.front().logit = 0.5F;
  return patches;
}

// Everything a LogitRow answers, against plain loops over the values that it should show.
void ExpectShows(const LogitRow& row, const std::vector<float>& values) {
  EXPECT_EQ(row.size(), values.size());
  const auto best = std::ranges::max_element(values);
  EXPECT_EQ(row.Max(), *best);
  EXPECT_EQ(row.ArgMax(), best - values.begin());
  for (const double temperature : {0.5, 1.0}) {
    double total = 0.0;
    for (const float value : values) total += std::exp((static_cast<double>(value) - *best) / temperature);
    EXPECT_NEAR(row.TotalWeight(temperature) / total, 1.0, 1e-12);
  }
  RankingScratch scratch;
  for (const std::size_t limit : {std::size_t{1}, std::size_t{2}, std::size_t{40}, std::size_t{300}, values.size()}) {
    for (const double floor : {-static_cast<double>(kInfinity), -3.0, 1.0}) {
      std::vector<Candidate> expected = SortedByHand(values, floor);
      expected.resize(std::min(expected.size(), limit));
      RankedCandidates ranked(row, limit, floor, scratch);
      // By steps, so that both ways to continue a sorted front part are taken.
      for (std::size_t count = 1; !ranked.complete() && count <= 5 * values.size(); count *= 5) {
        ranked.SortFirst(count);
        const auto sorted = ranked.sorted();
        ASSERT_EQ(sorted.size(), std::min(count, expected.size()));
        ASSERT_TRUE(std::ranges::equal(sorted, std::span(expected).first(sorted.size())));
      }
      EXPECT_TRUE(ranked.complete());
      EXPECT_EQ(ranked.sorted().size(), expected.size());
    }
  }
}

TEST(LogitRowTest, EqualsPlainLoopsOverManySizes) {
  std::mt19937 generator(2);
  std::vector<float> block_max;
  for (const std::size_t size : kSizes) {
    for (const bool with_ties : {false, true}) {
      SCOPED_TRACE(testing::Message() << size << " tokens, ties " << with_ties);
      std::vector<float> values = RandomRow(size, with_ties, generator);
      const std::vector<float> logits = values;
      auto row = LogitRow::Scan(logits, block_max);
      ASSERT_TRUE(row);
      ExpectShows(*row, values);
      const std::vector<LogitPatch> patches = RandomPatches(values, generator);
      row->Patch(patches);
      ExpectShows(*row, values);
    }
  }
}

TEST(LogitRowTest, FindsNanAndInfinityAtEveryPlace) {
  std::vector<float> block_max;
  for (const std::size_t size : {std::size_t{1}, std::size_t{128}, std::size_t{300}}) {
    for (std::size_t place = 0; place < size; ++place) {
      for (const float bad : {kNan, -kNan, kInfinity}) {
        std::vector<float> logits(size, 1.0F);
        logits[place] = bad;
        const auto row = LogitRow::Scan(logits, block_max);
        ASSERT_FALSE(row) << place << " of " << size;
        EXPECT_EQ(row.error().code, ErrorCode::kInternal);
      }
    }
  }
}

TEST(LogitRowTest, AnEmptyRowIsAnError) {
  std::vector<float> block_max;
  EXPECT_FALSE(LogitRow::Scan({}, block_max));
}

// The lane of a token is its id modulo 16, and the tree adds lanes 8 apart first. Several rows, because another order
// often rounds to the same sum.
TEST(LogitRowTest, SumsInSixteenLanesAndOneTree) {
  std::mt19937 generator(3);
  std::vector<float> block_max;
  for (int round = 0; round < 30; ++round) {
    const std::vector<float> logits = RandomRow(1'000, false, generator);
    const auto row = LogitRow::Scan(logits, block_max);
    ASSERT_TRUE(row);
    std::array<double, 16> lanes{};
    for (std::size_t i = 0; i < logits.size(); ++i) lanes[i % 16] += Weight(logits[i], row->Max(), 0.7);
    std::array<double, 8> eights{};
    std::array<double, 4> fours{};
    for (std::size_t i = 0; i < 8; ++i) eights[i] = lanes[i] + lanes[i + 8];
    for (std::size_t i = 0; i < 4; ++i) fours[i] = eights[i] + eights[i + 4];
    EXPECT_EQ(row->TotalWeight(0.7), (fours[0] + fours[2]) + (fours[1] + fours[3]));
  }
}

TEST(LogitRowTest, BoundForRankIsReachedByThatManyTokens) {
  std::mt19937 generator(4);
  const std::vector<float> logits = RandomRow(20'000, false, generator);
  std::vector<float> block_max;
  std::vector<float> ranked;
  const auto row = LogitRow::Scan(logits, block_max);
  ASSERT_TRUE(row);
  const std::vector<Candidate> sorted = SortedByHand(logits, -kInfinity);
  for (const std::size_t rank : {1U, 2U, 40U, 156U, 157U}) {
    EXPECT_LE(row->BoundForRank(rank, ranked), sorted[rank - 1].logit);
    EXPECT_GT(row->BoundForRank(rank, ranked), -kInfinity);
  }
  EXPECT_EQ(row->BoundForRank(158, ranked), -kInfinity);
}

}  // namespace
}  // namespace cllm
