#include "kvcache/block_cache.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace cllm {
namespace {

using Tokens = std::vector<TokenId>;

constexpr int kBlock = 4;

// Tokens `first` … `first + count - 1`.
Tokens TokensFrom(TokenId first, int count) {
  Tokens tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(first + i);
  return tokens;
}

Tokens Join(Tokens first, const Tokens& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// A cache, and the memory of an engine that does what it is told.
class Rig {
 public:
  explicit Rig(int blocks, int slots = 4, bool shares = true)
      : cache({.slots = slots, .blocks = blocks, .block_tokens = kBlock, .shares_prefixes = shares}),
        memory_(blocks, Tokens(kBlock, -1)),
        tables_(slots) {}

  SlotGrant Admit(const Tokens& prompt, CacheRoot root = kCommonRoot) {
    const auto grant = cache.Admit({prompt, root}, operations_);
    EXPECT_TRUE(grant);
    Apply();
    prompts_[grant->slot] = prompt;
    EXPECT_LT(grant->cached_tokens, static_cast<int>(prompt.size()));
    return *grant;
  }

  // Computes `rows` further tokens, for which there is room; first those of the prompt.
  void Compute(int slot, const Tokens& tokens) {
    const auto computed = static_cast<int>(cache.computed(slot).size());
    ASSERT_TRUE(cache.Reserve(slot, static_cast<int>(tokens.size())));
    cache.TakeNewBlocks(slot, tables_.at(slot));
    for (int i = 0; i < static_cast<int>(tokens.size()); ++i) At(slot, computed + i) = tokens[i];
    cache.Append(slot, tokens);
    CheckMemory(slot);
    cache.CheckInvariants();
  }

  // What is missing of the prompt.
  void ComputePrompt(const SlotGrant& grant) {
    const Tokens& prompt = prompts_.at(grant.slot);
    Compute(grant.slot, {prompt.begin() + grant.cached_tokens, prompt.end()});
  }

  SlotGrant Start(const Tokens& prompt) {
    const SlotGrant grant = Admit(prompt);
    ComputePrompt(grant);
    return grant;
  }

  void Release(int slot, bool keep = true) {
    cache.Release(slot, keep, operations_);
    Apply();
    cache.CheckInvariants();
  }

  // The engine's memory holds what the cache says.
  void CheckMemory(int slot) {
    const auto computed = cache.computed(slot);
    for (int i = 0; i < static_cast<int>(computed.size()); ++i) EXPECT_EQ(At(slot, i), computed[i]) << "position " << i;
  }

  int copies = 0;
  BlockCache cache;

 private:
  TokenId& At(int slot, int position) { return memory_.at(tables_.at(slot).at(position / kBlock)).at(position % kBlock); }

  void Apply() {
    for (const KvOperation& operation : operations_) {
      if (operation.kind == KvOperation::Kind::kDrop) {
        tables_.at(operation.slot).clear();
      } else {
        ASSERT_EQ(operation.kind, KvOperation::Kind::kCopyBlock);
        ++copies;
        memory_.at(operation.target_block) = memory_.at(operation.block);
      }
    }
    operations_.clear();
  }

  std::vector<Tokens> memory_;
  std::vector<std::vector<BlockId>> tables_;
  std::map<int, Tokens> prompts_;
  std::vector<KvOperation> operations_;
};

TEST(BlockCacheTest, FullBlocksAreFoundWhileTheirSequenceRunsAndAfterwards) {
  Rig rig(16);
  const Tokens prompt = TokensFrom(1, 10);
  const SlotGrant first = rig.Start(prompt);
  EXPECT_EQ(first.cached_tokens, 0);
  const SlotGrant second = rig.Start(Join(TokensFrom(1, 8), TokensFrom(100, 3)));
  EXPECT_EQ(second.cached_tokens, 8);
  rig.CheckMemory(first.slot);
  rig.Release(first.slot);
  rig.Release(second.slot);
  EXPECT_EQ(rig.Start(Join(prompt, TokensFrom(50, 1))).cached_tokens, 8) << "the block that wasn't full is lost";
  EXPECT_EQ(rig.copies, 0);
}

TEST(BlockCacheTest, TheAnswerIsAPrefixToo) {
  Rig rig(16);
  const SlotGrant grant = rig.Start(TokensFrom(1, 3));
  for (TokenId token = 4; token <= 9; ++token) rig.Compute(grant.slot, {token});
  EXPECT_EQ(rig.Start(TokensFrom(1, 12)).cached_tokens, 8);
}

TEST(BlockCacheTest, TheLastTokenIsComputedAgainInACopyWhereSomebodyReadsTheBlock) {
  Rig rig(16);
  const SlotGrant first = rig.Start(TokensFrom(1, 8));
  const SlotGrant second = rig.Start(TokensFrom(1, 8));
  EXPECT_EQ(second.cached_tokens, 7);
  EXPECT_EQ(rig.copies, 1);
  rig.Compute(first.slot, {70});
  rig.Compute(second.slot, {80});
  rig.CheckMemory(first.slot);
  rig.CheckMemory(second.slot);
}

TEST(BlockCacheTest, ABlockThatNobodyReadsIsTakenOverWithoutACopy) {
  Rig rig(2);
  const Tokens prompt = TokensFrom(1, 8);
  rig.Release(rig.Start(prompt).slot);
  EXPECT_EQ(rig.cache.idle_tokens(), 8);
  EXPECT_TRUE(rig.cache.HasRoom({prompt, kCommonRoot}, 8)) << "or a full pool could never serve a repeated prompt";
  const SlotGrant again = rig.Start(prompt);
  EXPECT_EQ(again.cached_tokens, 7);
  EXPECT_EQ(rig.copies, 0);
  rig.Release(again.slot);
  EXPECT_EQ(rig.Start(prompt).cached_tokens, 7) << "it is published again";
}

TEST(BlockCacheTest, WithoutSharingNothingStays) {
  Rig rig(8, 4, /*shares=*/false);
  const Tokens prompt = TokensFrom(1, 8);
  const SlotGrant first = rig.Start(prompt);
  const SlotGrant second = rig.Start(prompt);
  EXPECT_EQ(second.cached_tokens, 0);
  rig.Release(first.slot);
  rig.Release(second.slot);
  EXPECT_EQ(rig.cache.idle_tokens(), 0);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({prompt, kCommonRoot}));
}

TEST(BlockCacheTest, WhoComputesAllAnewSharesNothingAndLeavesTheOthersTheirs) {
  Rig rig(8);
  const Tokens prompt = TokensFrom(1, 8);
  rig.Release(rig.Start(prompt).slot);
  std::vector<KvOperation> operations;
  const auto anew = rig.cache.AdmitAnew({prompt, kCommonRoot}, operations);
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->cached_tokens, 0);
  rig.cache.Append(anew->slot, prompt);
  rig.cache.CheckInvariants();
  rig.cache.Release(anew->slot, /*keep=*/false, operations);
  EXPECT_EQ(rig.Start(TokensFrom(1, 9)).cached_tokens, 8);
}

TEST(BlockCacheTest, WhatFailedIsNotFound) {
  Rig rig(8);
  rig.Release(rig.Start(TokensFrom(1, 8)).slot, /*keep=*/false);
  EXPECT_EQ(rig.Start(TokensFrom(1, 9)).cached_tokens, 0);
}

TEST(BlockCacheTest, RoomCountsWhatIsIdleButNotWhatIsShared) {
  Rig rig(4);
  const SlotGrant grant = rig.Start(TokensFrom(1, 8));
  EXPECT_TRUE(rig.cache.HasRoom({TokensFrom(100, 8), kCommonRoot}, 8));
  EXPECT_FALSE(rig.cache.HasRoom({TokensFrom(100, 8), kCommonRoot}, 9));
  EXPECT_TRUE(rig.cache.HasRoom({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot}, 16)) << "two of its four blocks are there";
  EXPECT_FALSE(rig.cache.HasRoom({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot}, 17));
  rig.Release(grant.slot);
  EXPECT_TRUE(rig.cache.HasRoom({TokensFrom(100, 8), kCommonRoot}, 16)) << "idle blocks make way";
  EXPECT_FALSE(rig.cache.HasRoom({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot}, 17)) << "they can't both make way and be used";
}

TEST(BlockCacheTest, ReserveChangesNothingWhereThereIsNoRoom) {
  Rig rig(3);
  const SlotGrant first = rig.Start(TokensFrom(1, 4));
  const SlotGrant second = rig.Start(TokensFrom(100, 4));
  rig.Compute(first.slot, {9});
  EXPECT_FALSE(rig.cache.Reserve(second.slot, 1));
  rig.cache.CheckInvariants();
  EXPECT_EQ(rig.cache.CostOfRelease(first.slot).freed_blocks, 2);
  EXPECT_EQ(rig.cache.CostOfRelease(first.slot).lost_tokens, 1) << "its full block is published";
  rig.Release(first.slot);
  EXPECT_TRUE(rig.cache.Reserve(second.slot, 1));
}

TEST(BlockCacheTest, SharedBlocksAreNotFreedByOneOfTheirUsers) {
  Rig rig(8);
  const SlotGrant first = rig.Start(TokensFrom(1, 8));
  const SlotGrant second = rig.Start(Join(TokensFrom(1, 8), TokensFrom(50, 2)));
  EXPECT_EQ(rig.cache.CostOfRelease(first.slot).freed_blocks, 0);
  EXPECT_EQ(rig.cache.CostOfRelease(second.slot).freed_blocks, 1);
}

TEST(BlockCacheTest, AFollowerWaitsForFullBlocksOnly) {
  Rig rig(16);
  const SlotGrant leader = rig.Admit(TokensFrom(1, 10));
  EXPECT_TRUE(rig.cache.IsWorthWaiting({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot}));
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Join(TokensFrom(1, 3), TokensFrom(50, 4)), kCommonRoot})) << "three tokens fill no block";
  EXPECT_FALSE(rig.cache.IsWorthWaiting({TokensFrom(60, 10), kCommonRoot}));
  rig.Compute(leader.slot, TokensFrom(1, 4));
  EXPECT_TRUE(rig.cache.IsWorthWaiting({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot})) << "the second block is to come";
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Join(TokensFrom(1, 4), TokensFrom(50, 4)), kCommonRoot})) << "what it shares is there";
  rig.Release(leader.slot);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Join(TokensFrom(1, 8), TokensFrom(50, 4)), kCommonRoot})) << "the leader is gone";
}

TEST(BlockCacheTest, TheEndOfAPrefixIsEvictedBeforeItsBeginning) {
  Rig rig(3);
  rig.Release(rig.Start(TokensFrom(1, 12)).slot);
  rig.Release(rig.Start(TokensFrom(100, 4)).slot);
  EXPECT_EQ(rig.Start(TokensFrom(1, 12)).cached_tokens, 8);
}

// Against a memory that shows every wrong block.
TEST(BlockCacheTest, RandomSequencesFindWhatTheyWroteAndNothingElse) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::uint64_t draws = 0;
    const auto draw = [&](int least, int most) { return least + static_cast<int>(UniformAt(seed, 0, draws++) * (most - least + 1)); };
    const int blocks = draw(6, 20);
    Rig rig(blocks, draw(1, 5));
    std::vector<int> running;
    for (int turn = 0; turn < 500; ++turn) {
      Tokens prompt = TokensFrom(1000 * draw(0, 2), draw(1, 16));
      for (int i = draw(0, 6); i > 0; --i) prompt.push_back(draw(0, 3));
      if (draw(0, 2) == 0 && rig.cache.HasRoom({prompt, kCommonRoot}, static_cast<int>(prompt.size()))) {
        running.push_back(rig.Start(prompt).slot);
      }
      for (const int slot : running) {
        if (draw(0, 1) == 0 && rig.cache.Reserve(slot, 1)) rig.Compute(slot, {draw(0, 3)});
      }
      for (const int slot : running) rig.CheckMemory(slot);
      if (!running.empty() && draw(0, 3) == 0) {
        const auto ended = running.begin() + draw(0, static_cast<int>(running.size()) - 1);
        rig.Release(*ended, draw(0, 4) > 0);
        running.erase(ended);
      }
    }
  }
}

TEST(BlockCacheTest, NothingIsSharedBetweenRoots) {
  Rig rig(16);
  const Tokens prompt = TokensFrom(1, 9);
  rig.Release(rig.Start(prompt).slot);
  const SlotGrant of_another = rig.Admit(prompt, 2);
  EXPECT_EQ(of_another.cached_tokens, 0);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({prompt, 3}));
  EXPECT_TRUE(rig.cache.IsWorthWaiting({prompt, 2}));
  rig.ComputePrompt(of_another);
  EXPECT_EQ(rig.Admit(prompt, 3).cached_tokens, 0);
  EXPECT_EQ(rig.Admit(prompt, 2).cached_tokens, 8);
  EXPECT_EQ(rig.Admit(prompt).cached_tokens, 8);
}

}  // namespace
}  // namespace cllm
