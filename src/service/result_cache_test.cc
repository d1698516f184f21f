#include "service/result_cache.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
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

void Change(std::vector<std::pair<std::int32_t, float>>& biases) { biases.emplace_back(1, 2.0F); }
void Change(std::vector<std::int32_t>& tokens) { tokens.push_back(4); }
void Change(std::string& text) { text += "x"; }
template <typename Number>
  requires std::is_arithmetic_v<Number>
void Change(Number& number) {
  number += 1;
}

// The key after each field of the list has been changed, one at a time.
template <typename List>
std::vector<std::string> KeysAfterChanges(const List& list) {
  std::vector<std::string> keys;
  constexpr std::size_t kFields = std::tuple_size_v<decltype(list(SomeRequest()))>;
  [&]<std::size_t... kField>(std::index_sequence<kField...>) {
    const auto change = [&]<std::size_t kOne>() {
      SequenceRequest request = SomeRequest();
      auto& field = std::get<kOne>(list(request));
      if constexpr (!std::is_same_v<decltype(field), const SamplingParams&>) {
        Change(const_cast<std::remove_cvref_t<decltype(field)>&>(field));
        keys.push_back(ResultKey(request, {"x"}));
      }
    };
    (change.template operator()<kField>(), ...);
  }(std::make_index_sequence<kFields>());
  return keys;
}

TEST(ResultKeyTest, EachThingThatChangesTheAnswerChangesTheKey) {
  std::vector<std::string> keys = KeysAfterChanges([](const SequenceRequest& request) { return FieldsOfAnswer(request); });
  const auto of_sampling = KeysAfterChanges([](const SequenceRequest& request) { return FieldsOf(request.sampling); });
  keys.insert(keys.end(), of_sampling.begin(), of_sampling.end());
  EXPECT_GE(keys.size(), 19U);
  keys.push_back(ResultKey(SomeRequest(), {"x"}));
  keys.push_back(ResultKey(SomeRequest(), {}));
  keys.push_back(ResultKey(SomeRequest(), {"x", "y"}));
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
  EXPECT_EQ(ResultKey(SomeRequest(), {"x"}), ResultKey(SomeRequest(), {"x"}));
}

TEST(ResultKeyTest, HowARequestIsServedIsNoPartOfIt) {
  SequenceRequest request = SomeRequest();
  request.id = 7;
  request.priority = 3;
  request.arrived += seconds(1);
  request.deadline -= seconds(1);
  request.control = std::make_shared<RequestControl>();
  EXPECT_EQ(ResultKey(request, {"x"}), ResultKey(SomeRequest(), {"x"}));
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
  two.choice = 1;
  EXPECT_EQ(ResultKey(one, {}), ResultKey(two, {}));
  EXPECT_TRUE(IsRepeatable(one, false));
  EXPECT_FALSE(IsRepeatable(SomeRequest(), false));
  EXPECT_TRUE(IsRepeatable(SomeRequest(), true));
}

}  // namespace
}  // namespace cllm
