#include "sampling/token_score.h"

#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace cllm {
namespace {

std::vector<float> NormalRow(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, 4.0F);
  std::vector<float> row(size);
  for (float& logit : row) logit = normal(generator);
  return row;
}

TEST(TokenScoreTest, SaysWhatASampleOfTheTokenSays) {
  SamplerScratch scratch;
  for (const std::size_t size : {1U, 17U, 1000U, 20'000U}) {
    const std::vector<float> row = NormalRow(size, static_cast<unsigned>(size));
    SamplingParams params{.temperature = 0};
    params.top_logprobs = 3;
    const Result<SampledToken> sampled = Sampler(params, 0).Sample(row, 0, scratch);
    const Result<TokenScore> score = ScoreToken(row, sampled->token, 3, scratch);
    ASSERT_TRUE(score);
    EXPECT_EQ(score->logprob, sampled->logprob);
    EXPECT_EQ(score->top, sampled->top);
    EXPECT_EQ(score->rank, 1);
  }
}

TEST(TokenScoreTest, RanksAreThoseOfTheSortedRow) {
  SamplerScratch scratch;
  std::vector<float> row = NormalRow(700, 5);
  for (std::size_t i = 0; i < row.size(); i += 3) row[i] = 1.5F;  // equals: the lower id comes first
  const Result<TokenScore> all = ScoreToken(row, 0, 700, scratch);
  ASSERT_EQ(all->top.size(), 700U);
  for (std::size_t i = 0; i < all->top.size(); ++i) {
    const Result<TokenScore> score = ScoreToken(row, all->top[i].token, 0, scratch);
    EXPECT_EQ(score->rank, static_cast<std::int32_t>(i) + 1);
    EXPECT_EQ(score->logprob, all->top[i].logprob);
    EXPECT_TRUE(score->top.empty());
  }
}

TEST(TokenScoreTest, AnExcludedTokenHasTheLogprobMinusInfinityAndTheLastRank) {
  SamplerScratch scratch;
  std::vector<float> row{0.0F, -kInfinity, 1.0F, -kInfinity};
  const Result<TokenScore> score = ScoreToken(row, 3, 4, scratch);
  EXPECT_EQ(score->logprob, -kInfinity);
  EXPECT_EQ(score->rank, 4);
  EXPECT_EQ(score->top.size(), 2U);
}

TEST(TokenScoreTest, ARowThatIsNoneIsAnError) {
  SamplerScratch scratch;
  EXPECT_FALSE(ScoreToken(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()}, 0, 1, scratch));
  EXPECT_FALSE(ScoreToken(std::vector<float>{-kInfinity, -kInfinity}, 0, 1, scratch));
}

}  // namespace
}  // namespace cllm
