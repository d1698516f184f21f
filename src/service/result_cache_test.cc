#include "service/result_cache.h"

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace cllm {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMb = 1 << 20;

CachedResult ResultOf(std::vector<TokenId> tokens) {
  CachedResult result{.tokens = {}, .reason = FinishReason::kLength};
  for (const TokenId token : tokens) result.tokens.push_back({.token = token, .logprob = 0, .top = {}});
  return result;
}

// Takes about `bytes` with its key.
CachedResult Large(std::size_t bytes) { return ResultOf(std::vector<TokenId>(bytes / sizeof(SampledToken), 7)); }

class ResultCacheTest : public testing::Test {
 protected:
  bool Has(const std::string& key) {
    const bool found = cache_.Find(key, now_) != nullptr;
    cache_.CheckInvariants();
    return found;
  }
  void Insert(const std::string& key, CachedResult result) {
    cache_.Insert(key, std::move(result), now_);
    cache_.CheckInvariants();
  }

  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  ResultCache cache_{{.max_memory_mb = 1, .ttl_s = 60}};
};

TEST_F(ResultCacheTest, AnAnswerComesBackAsItWas) {
  EXPECT_FALSE(Has("a"));
  Insert("a", ResultOf({1, 2, 3}));
  const auto found = cache_.Find("a", now_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reason, FinishReason::kLength);
  ASSERT_EQ(found->tokens.size(), 3U);
  EXPECT_EQ(found->tokens[2].token, 3);
  EXPECT_FALSE(Has("b"));
  EXPECT_EQ(cache_.stats().hits, 1);
  EXPECT_EQ(cache_.stats().misses, 2);
}

TEST_F(ResultCacheTest, TheLeastRecentlyUsedMakesRoom) {
  Insert("a", Large(kMb / 3));
  Insert("b", Large(kMb / 3));
  EXPECT_TRUE(Has("a"));
  Insert("c", Large(kMb / 3));
  EXPECT_FALSE(Has("b"));
  EXPECT_TRUE(Has("a"));
  EXPECT_TRUE(Has("c"));
  EXPECT_EQ(cache_.stats().evictions, 1);
  EXPECT_LE(cache_.stats().bytes, static_cast<std::int64_t>(kMb));
}

TEST_F(ResultCacheTest, WhatIsLargerThanTheBudgetDisplacesNothing) {
  Insert("a", ResultOf({1}));
  Insert("huge", Large(2 * kMb));
  EXPECT_FALSE(Has("huge"));
  EXPECT_TRUE(Has("a"));
}

TEST_F(ResultCacheTest, AnOldAnswerIsForgottenAndUseMakesItNoYounger) {
  Insert("a", ResultOf({1}));
  now_ += seconds(59);
  EXPECT_TRUE(Has("a"));
  Insert("a", ResultOf({2}));
  now_ += seconds(1);
  EXPECT_FALSE(Has("a"));
  EXPECT_EQ(cache_.stats().entries, 0);
  Insert("a", ResultOf({3}));
  EXPECT_EQ(cache_.Find("a", now_)->tokens[0].token, 3);
}

TEST_F(ResultCacheTest, ItsBooksAgreeWhateverIsAskedOfIt) {
  std::map<std::string, TokenId> newest;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto pick = [&](std::uint32_t stream, int most) { return static_cast<int>(UniformAt(5, stream, i) * most); };
    const std::string key = "key " + std::to_string(pick(0, 30));
    now_ += seconds(pick(1, 4));
    if (const auto found = cache_.Find(key, now_)) {
      EXPECT_EQ(found->tokens.at(0).token, newest.at(key));
    } else {
      CachedResult result = Large(static_cast<std::size_t>(pick(2, 400'000)) + sizeof(SampledToken));
      result.tokens[0].token = newest[key] = static_cast<TokenId>(i);
      Insert(key, std::move(result));
    }
    cache_.CheckInvariants();
  }
  EXPECT_GT(cache_.stats().hits, 50);
  EXPECT_GT(cache_.stats().evictions, 50);
}

TEST(ResultCacheOffTest, WithoutABudgetNothingIsKept) {
  ResultCache cache({.max_memory_mb = 0, .ttl_s = 60});
  EXPECT_FALSE(cache.enabled());
  cache.Insert("a", {}, TimePoint());
  EXPECT_EQ(cache.Find("a", TimePoint()), nullptr);
}

SequenceRequest SomeRequest() {
  SequenceRequest request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 10;
  request.stop_tokens = {0};
  request.sampling.seed = 5;
  return request;
}

TEST(ResultKeyTest, EachThingThatChangesTheAnswerChangesTheKey) {
  const std::string key = ResultKey(SomeRequest(), {"x"});
  EXPECT_EQ(ResultKey(SomeRequest(), {"x"}), key);
  const std::vector<std::function<void(SequenceRequest&)>> changes = {
      [](auto& r) { r.prompt.push_back(4); },
      [](auto& r) { r.prompt[0] = 9; },
      [](auto& r) { r.max_tokens = 11; },
      [](auto& r) { r.stop_tokens = {}; },
      [](auto& r) { r.sampling.temperature = 0.5; },
      [](auto& r) { r.sampling.top_k = 3; },
      [](auto& r) { r.sampling.top_p = 0.5; },
      [](auto& r) { r.sampling.min_p = 0.5; },
      [](auto& r) { r.sampling.repetition_penalty = 1.5; },
      [](auto& r) { r.sampling.presence_penalty = 1.5; },
      [](auto& r) { r.sampling.frequency_penalty = 1.5; },
      [](auto& r) { r.sampling.penalty_last_n = 3; },
      [](auto& r) { r.sampling.seed = 6; },
      [](auto& r) { r.sampling.logit_bias = {{1, 2.0F}}; },
      [](auto& r) { r.sampling.banned = {3}; },
      [](auto& r) { r.sampling.top_logprobs = 2; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SequenceRequest request = SomeRequest();
    changes[i](request);
    EXPECT_NE(ResultKey(request, {"x"}), key) << "change " << i;
  }
  EXPECT_NE(ResultKey(SomeRequest(), {}), key);
  EXPECT_NE(ResultKey(SomeRequest(), {"x", "y"}), key);
}

TEST(ResultKeyTest, WhereOneListEndsAndTheNextBeginsIsAPartOfIt) {
  EXPECT_NE(ResultKey(SomeRequest(), {"ab", "c"}), ResultKey(SomeRequest(), {"a", "bc"}));
  SequenceRequest biased = SomeRequest();
  biased.sampling.logit_bias = {};
  biased.sampling.banned = {1};
  SequenceRequest other = biased;
  other.sampling.logit_bias = {{1, 0.0F}};
  other.sampling.banned = {};
  EXPECT_NE(ResultKey(biased, {}), ResultKey(other, {}));
}

TEST(ResultKeyTest, TheSeedOfAGreedyRequestIsNoPartOfIt) {
  SequenceRequest one = SomeRequest();
  one.sampling.temperature = 0;
  SequenceRequest two = one;
  two.sampling.seed = 77;
  EXPECT_EQ(ResultKey(one, {}), ResultKey(two, {}));
  EXPECT_TRUE(IsRepeatable(one, false));
  EXPECT_FALSE(IsRepeatable(SomeRequest(), false));
  EXPECT_TRUE(IsRepeatable(SomeRequest(), true));
}

}  // namespace
}  // namespace cllm
