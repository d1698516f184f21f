#include "api/response_store.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using std::chrono::seconds;

constexpr std::size_t kStoreMb = 1 << 20;

StoredTurn TurnOf(std::size_t bytes) {
  StoredTurn turn;
  turn.input.push_back({.id = "msg_in", .json = std::string(bytes, 'i')});
  turn.output.push_back({.id = "msg_out", .json = "{}"});
  return turn;
}

class ResponseStoreTest : public testing::Test {
 protected:
  void Insert(const std::string& id, std::size_t bytes = 10, StoredTurns before = {}) {
    store_.Insert("owner", id, "body of " + id, std::move(before), TurnOf(bytes), now_);
  }
  bool Has(const std::string& id, const std::string& owner = "owner") { return store_.Find(owner, id, now_) != nullptr; }

  ResponseStore store_{{.max_memory_mb = 1, .ttl_s = 60}};
  ResponseStore::Time now_{};
};

TEST_F(ResponseStoreTest, WhatIsKeptIsThereForItsOwnerAlone) {
  Insert("a");
  const auto kept = store_.Find("owner", "a", now_);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->body, "body of a");
  ASSERT_EQ(kept->turns.size(), 1U);
  EXPECT_EQ(kept->turns[0]->output[0].id, "msg_out");
  EXPECT_FALSE(Has("a", "other"));
  EXPECT_FALSE(Has("a", ""));
  EXPECT_FALSE(Has("b"));
  EXPECT_FALSE(store_.Delete("other", "a", now_));
  EXPECT_TRUE(Has("a"));
}

TEST_F(ResponseStoreTest, WhatIsDeletedIsGoneAndHoldsNothing) {
  Insert("a");
  EXPECT_GT(store_.bytes(), 0U);
  EXPECT_TRUE(store_.Delete("owner", "a", now_));
  EXPECT_FALSE(store_.Delete("owner", "a", now_));
  EXPECT_FALSE(Has("a"));
  EXPECT_EQ(store_.bytes(), 0U);
}

TEST_F(ResponseStoreTest, TheOldAreNotThere) {
  Insert("a");
  now_ += seconds(59);
  Insert("b");
  EXPECT_TRUE(Has("a"));
  now_ += seconds(1);
  EXPECT_FALSE(Has("a"));
  EXPECT_TRUE(Has("b"));
  EXPECT_EQ(store_.size(), 1U);
  now_ += seconds(60);
  EXPECT_FALSE(store_.Delete("owner", "b", now_));
  EXPECT_EQ(store_.bytes(), 0U);
}

TEST_F(ResponseStoreTest, ManyStayWithinTheirMemoryAndTheOldestMakeRoom) {
  for (int i = 0; i < 1000; ++i) {
    Insert(std::to_string(i), static_cast<std::size_t>(i) * 37 % 9000);
    EXPECT_LE(store_.bytes(), kStoreMb);
  }
  EXPECT_TRUE(Has("999"));
  EXPECT_FALSE(Has("0"));
  EXPECT_GT(store_.size(), 50U);
}

TEST_F(ResponseStoreTest, OneThatIsTooLargeLeavesTheOthersAlone) {
  Insert("a");
  Insert("large", kStoreMb);
  EXPECT_FALSE(Has("large"));
  EXPECT_TRUE(Has("a"));
}

TEST_F(ResponseStoreTest, AConversationIsHeldOnceAndStaysWholeWhenItsBeginningGoes) {
  Insert("a", 100'000);
  const std::size_t one = store_.bytes();
  Insert("b", 10, store_.Find("owner", "a", now_)->turns);
  EXPECT_LT(store_.bytes(), one + 10'000);
  EXPECT_TRUE(store_.Delete("owner", "a", now_));
  EXPECT_GT(store_.bytes(), 100'000U) << "b goes on from it";
  const auto kept = store_.Find("owner", "b", now_);
  ASSERT_EQ(kept->turns.size(), 2U);
  EXPECT_EQ(kept->turns[0]->input[0].json.size(), 100'000U);
  EXPECT_TRUE(store_.Delete("owner", "b", now_));
  EXPECT_GT(store_.bytes(), 100'000U) << "somebody still reads it";
}

TEST_F(ResponseStoreTest, WhatIsReadCountsUntilItIsRead) {
  Insert("a", 900'000);
  const auto read = store_.Find("owner", "a", now_);
  Insert("b", 500'000);
  EXPECT_FALSE(Has("b")) << "there is no room, whoever leaves";
  EXPECT_LE(store_.bytes(), kStoreMb);
}

TEST(ResponseStoreOffTest, WithoutMemoryNothingIsKept) {
  ResponseStore store({.max_memory_mb = 0});
  EXPECT_FALSE(store.enabled());
  store.Insert("", "a", "x", {}, TurnOf(1), {});
  EXPECT_EQ(store.Find("", "a", {}), nullptr);
}

}  // namespace
}  // namespace cllm
