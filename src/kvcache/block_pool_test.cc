#include "kvcache/block_pool.h"

#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Tokens = std::vector<TokenId>;

// A block that only caches `token`.
BlockId Idle(BlockPool& pool, TokenId token) {
  const BlockId block = *pool.Allocate();
  pool.index().Insert(kEmptyPrefix, Tokens{token}, block);
  pool.Release(block, true);
  return block;
}

TEST(BlockPoolTest, GivesEachBlockOnce) {
  BlockPool pool(3);
  EXPECT_EQ(pool.Allocate(), 0);
  EXPECT_EQ(pool.Allocate(), 1);
  EXPECT_EQ(pool.Allocate(), 2);
  EXPECT_EQ(pool.Allocate(), std::nullopt);
  pool.Release(1, true);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.Allocate(), 1);
  pool.CheckInvariants();
}

TEST(BlockPoolTest, ABlockIsInUseUntilItsLastUserReleasesIt) {
  BlockPool pool(1);
  const BlockId block = *pool.Allocate();
  pool.Use(block);
  pool.Release(block, true);
  EXPECT_EQ(pool.users(block), 1);
  EXPECT_EQ(pool.available(), 0);
  pool.Release(block, true);
  EXPECT_EQ(pool.available(), 1);
}

TEST(BlockPoolTest, AFreeBlockIsGivenBeforeAnIdleOne) {
  BlockPool pool(2);
  const BlockId idle = Idle(pool, 1);
  const BlockId free = *pool.Allocate();
  EXPECT_NE(free, idle);
  EXPECT_EQ(pool.idle(), 1);
  EXPECT_EQ(pool.Allocate(), idle);
  pool.CheckInvariants();
}

TEST(BlockPoolTest, WhatIsUsedAgainGoesLast) {
  BlockPool pool(2);
  const BlockId a = *pool.Allocate();
  const BlockId b = *pool.Allocate();
  pool.index().Insert(kEmptyPrefix, Tokens{1}, a);
  pool.index().Insert(kEmptyPrefix, Tokens{2}, b);
  pool.Release(a, true);
  pool.Release(b, true);
  EXPECT_EQ(pool.idle(), 2);
  pool.Use(a);
  EXPECT_EQ(pool.idle(), 1);
  pool.Release(a, true);
  EXPECT_EQ(pool.Allocate(), b);
  EXPECT_FALSE(pool.index().Contains(b)) << "what is evicted can't be found";
  EXPECT_TRUE(pool.index().Contains(a));
  pool.CheckInvariants();
}

TEST(BlockPoolTest, WhatMustNotBeKeptIsFreeAtOnce) {
  BlockPool pool(1);
  const BlockId block = *pool.Allocate();
  pool.index().Insert(kEmptyPrefix, Tokens{1}, block);
  pool.Release(block, false);
  EXPECT_EQ(pool.idle(), 0);
  EXPECT_FALSE(pool.index().Find(kEmptyPrefix, Tokens{1}));
  pool.CheckInvariants();
}

TEST(BlockPoolDeathTest, MistakesAreNoticed) {
  BlockPool pool(2);
  EXPECT_DEATH(pool.Use(0), "a free block holds nothing");
  EXPECT_DEATH(pool.Release(0, true), "only a user releases");
}

}  // namespace
}  // namespace cllm
