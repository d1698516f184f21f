#include "kvcache/slot_cache.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace cllm {
namespace {

using Tokens = std::vector<TokenId>;
using Kind = KvOperation::Kind;

// `shared` tokens that all of one `family` begin with, then `own` tokens of the `salt` alone.
Tokens Prompt(int family, int shared, int salt = 0, int own = 0) {
  Tokens tokens;
  for (int i = 0; i < shared; ++i) tokens.push_back(1000 * family + i);
  for (int i = 0; i < own; ++i) tokens.push_back(1'000'000 + 1000 * salt + i);
  return tokens;
}

Tokens Joined(Tokens first, const Tokens& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// A cache, and an engine that does what it is told.
class SlotRig {
 public:
  explicit SlotRig(int slots, bool dense = false, bool shares = true)
      : SlotRig({.slots = slots, .shares_prefixes = shares, .dense = dense}) {}
  explicit SlotRig(const SlotCache::Options& options) : cache(options), engine_(options.slots) {}

  // Admits and computes the prompt.
  SlotGrant Run(const Tokens& prompt) {
    const SlotGrant grant = Admit(prompt);
    Compute(grant, prompt);
    return grant;
  }
  SlotGrant Admit(const Tokens& prompt, CacheRoot root = kCommonRoot) {
    const auto grant = cache.Admit({prompt, root}, operations_);
    EXPECT_TRUE(grant);
    Apply();
    const Tokens& held = engine_.at(grant->slot);
    EXPECT_EQ(static_cast<int>(held.size()), grant->cached_tokens);
    EXPECT_LT(grant->cached_tokens, static_cast<int>(prompt.size()));
    EXPECT_TRUE(std::equal(held.begin(), held.end(), prompt.begin())) << "the slot holds the prompt's first tokens";
    return *grant;
  }
  void Compute(const SlotGrant& grant, const Tokens& prompt) {
    const Tokens rest(prompt.begin() + grant.cached_tokens, prompt.end());
    Append(grant.slot, rest);
  }
  // The whole life of a request; returns how many tokens of its prompt were there.
  int Live(const Tokens& prompt, const Tokens& answer = {}) {
    const SlotGrant grant = Run(prompt);
    Append(grant.slot, answer);
    Release(grant.slot);
    return grant.cached_tokens;
  }
  void Append(int slot, const Tokens& tokens) {
    cache.Append(slot, tokens);
    engine_.at(slot) = Joined(engine_.at(slot), tokens);
    Apply();
  }
  void Release(int slot, bool keep = true) {
    cache.Release(slot, keep, operations_);
    Apply();
  }
  void Close(const SlotMove& gap) {
    cache.Close(gap, operations_);
    Apply();
  }
  int Count(Kind kind) const { return counts_.contains(kind) ? counts_.at(kind) : 0; }
  const Tokens& held(int slot) const { return engine_.at(slot); }

  SlotCache cache;

 private:
  void Apply() {
    for (const KvOperation& operation : operations_) {
      ++counts_[operation.kind];
      Tokens& slot = engine_.at(operation.slot);
      switch (operation.kind) {
        case Kind::kDrop:
          slot.clear();
          break;
        case Kind::kTrim:
          ASSERT_LE(operation.tokens, static_cast<int>(slot.size()));
          slot.resize(operation.tokens);
          break;
        case Kind::kMove:
        case Kind::kCopy: {
          Tokens& target = engine_.at(operation.target_slot);
          ASSERT_TRUE(target.empty());
          target = slot;
          if (operation.kind == Kind::kCopy)
            target.resize(operation.tokens);
          else
            slot.clear();
          break;
        }
        case Kind::kCopyBlock:
          FAIL() << "there are no blocks";
      }
    }
    operations_.clear();
    cache.CheckInvariants();
  }

  std::vector<Tokens> engine_;
  std::vector<KvOperation> operations_;
  std::map<Kind, int> counts_;
};

TEST(SlotCacheTest, WhoComputesAllAnewSharesNothing) {
  SlotRig rig(2);
  rig.Release(rig.Run(Prompt(1, 100)).slot);
  std::vector<KvOperation> operations;
  const auto anew = rig.cache.AdmitAnew({Prompt(1, 100), kCommonRoot}, operations);
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->cached_tokens, 0);
  EXPECT_EQ(rig.cache.idle_tokens(), 100) << "it goes where nothing is lost";
  rig.cache.CheckInvariants();
}

TEST(SlotCacheTest, WhoComputesAllAnewDoesSoBelowItsOwnRoot) {
  SlotRig rig(1);
  std::vector<KvOperation> operations;
  const auto anew = rig.cache.AdmitAnew({Prompt(1, 100), 7}, operations);
  ASSERT_TRUE(anew);
  rig.cache.Append(anew->slot, Prompt(1, 100));
  rig.Release(anew->slot);
  EXPECT_EQ(rig.Admit(Prompt(1, 100)).cached_tokens, 0) << "nobody else finds it";
}

TEST(SlotCacheTest, ARepeatedPromptNeedsItsLastTokenOnly) {
  SlotRig rig(2);
  rig.Release(rig.Run(Prompt(1, 100)).slot);
  EXPECT_EQ(rig.cache.idle_tokens(), 100);
  EXPECT_EQ(rig.Admit(Prompt(1, 100)).cached_tokens, 99);
  EXPECT_EQ(rig.Count(Kind::kCopy), 0) << "what is idle is taken over";
}

TEST(SlotCacheTest, TheNextTurnOfAConversationFindsTheAnswerToo) {
  SlotRig rig(2);
  const Tokens first = Prompt(1, 50);
  const SlotGrant grant = rig.Run(first);
  const Tokens answer = Prompt(2, 20);
  rig.Append(grant.slot, answer);
  rig.Release(grant.slot);
  EXPECT_EQ(rig.Admit(Joined(Joined(first, answer), Prompt(3, 5))).cached_tokens, 70);
}

TEST(SlotCacheTest, AnotherPromptLeavesALongConversationAlone) {
  SlotRig rig(2);
  const int slot = rig.Run(Prompt(1, 500)).slot;
  rig.Release(slot);
  // The same first words, and nothing else.
  const SlotGrant other = rig.Admit(Joined(Prompt(1, 4), Prompt(2, 30)));
  EXPECT_NE(other.slot, slot);
  EXPECT_EQ(other.cached_tokens, 0) << "4 tokens are not worth a copy";
  EXPECT_EQ(rig.held(slot).size(), 500U);
}

// Each answer is another one, as of requests that sample.
Tokens Answer(int number, int length) { return Prompt(0, 0, 100 + number, length); }

TEST(SlotCacheTest, RepeatsOfAShortPromptHitHoweverLongTheAnswersAre) {
  for (const bool dense : {false, true}) {
    for (const int length : {8, 120, 900}) {
      SlotRig rig(8, dense);
      EXPECT_EQ(rig.Live(Prompt(1, 30), Answer(0, length)), 0);
      for (int turn = 1; turn < 40; ++turn) {
        EXPECT_EQ(rig.Live(Prompt(1, 30), Answer(turn, length)), 29) << "turn " << turn << ", answers of " << length;
      }
    }
  }
}

TEST(SlotCacheTest, AShortSystemPromptIsThereForAll) {
  SlotRig rig(4);
  rig.Live(Prompt(1, 30, 1, 20), Answer(1, 300));
  for (int user = 2; user < 40; ++user) EXPECT_EQ(rig.Live(Prompt(1, 30, user, 20), Answer(user, 300)), 30) << "user " << user;
}

TEST(SlotCacheTest, IdenticalPromptsAtOnceShareWithThoseThatRun) {
  SlotRig rig(4);
  std::vector<int> slots = {rig.Run(Prompt(1, 30)).slot};
  for (int i = 1; i < 4; ++i) {
    const SlotGrant grant = rig.Run(Prompt(1, 30));
    EXPECT_EQ(grant.cached_tokens, 29);
    slots.push_back(grant.slot);
  }
  for (const int slot : slots) rig.Release(slot);
  EXPECT_EQ(rig.Count(Kind::kCopy), 3);
}

// A request that repeats lives on its own slot and on what nobody has used for long.
TEST(SlotCacheTest, AShortPromptThatRepeatsLeavesLongConversationsAlone) {
  SlotRig rig(8);
  for (int family = 1; family <= 8; ++family) rig.Live(Prompt(family, 900));
  EXPECT_EQ(rig.Live(Prompt(20, 30), Answer(0, 120)), 0);
  for (int turn = 1; turn < 10; ++turn) EXPECT_EQ(rig.Live(Prompt(20, 30), Answer(turn, 120)), 29);
  for (int family = 8; family >= 2; --family) EXPECT_EQ(rig.Live(Prompt(family, 900)), 899) << "conversation " << family;
}

// However long it is: what nobody asks for any more makes room one day.
TEST(SlotCacheTest, WhatIsNotUsedIsForgottenInTheEnd) {
  SlotRig rig(3);
  rig.Live(Prompt(1, 5000));
  int turns = 0;
  while (turns < 500 && std::ranges::any_of(std::vector{0, 1, 2}, [&](int slot) { return rig.held(slot).size() > 1000; })) {
    rig.Live(Prompt(2 + turns % 50, 100));
    ++turns;
  }
  EXPECT_GT(turns, 10);
  EXPECT_LT(turns, 500);
}

TEST(SlotCacheTest, WhatAnotherSlotHoldsTooGoesFirst) {
  SlotRig rig(3);
  rig.Live(Prompt(1, 200));  // the oldest
  const int twin = rig.Run(Prompt(2, 200)).slot;
  const int other_twin = rig.Run(Prompt(2, 200, 1, 2)).slot;
  rig.Release(twin);
  rig.Release(other_twin);
  EXPECT_EQ(rig.Live(Prompt(3, 200)), 0);
  EXPECT_EQ(rig.Live(Prompt(1, 200)), 199);
  EXPECT_EQ(rig.Live(Prompt(2, 200)), 199);
}

TEST(SlotCacheTest, ConversationsGrowInTheirOwnSlots) {
  SlotRig rig(4);
  std::vector<Tokens> conversations;
  for (int user = 0; user < 4; ++user) conversations.push_back(Prompt(1, 30, user, 20));
  for (int turn = 0; turn < 8; ++turn) {
    for (int user = 0; user < 4; ++user) {
      Tokens& known = conversations[user];
      const Tokens answer = Answer(10 * user + turn, 100);
      const auto size = static_cast<int>(known.size());
      EXPECT_EQ(rig.Live(known, answer), turn > 0 ? size - 10 : user > 0 ? 30 : 0) << "user " << user << ", turn " << turn;
      known = Joined(Joined(known, answer), Prompt(0, 0, 200 + 10 * user + turn, 10));
    }
  }
  EXPECT_EQ(rig.Count(Kind::kCopy), 3) << "each of the others began with the first one's system prompt";
}

// A template that writes the last answer a little differently costs these tokens, not a slot a turn.
TEST(SlotCacheTest, AConversationWhoseLastAnswerIsWrittenAnewStaysInItsSlot) {
  SlotRig rig(4);
  Tokens known = Prompt(1, 100);
  for (int turn = 0; turn < 8; ++turn) {
    rig.Live(known, Answer(turn, 50));
    known = Joined(Joined(known, Answer(turn, 47)), Prompt(0, 0, 50 + turn, 10));
  }
  EXPECT_EQ(rig.Count(Kind::kCopy), 0);
  EXPECT_GT(rig.cache.idle_tokens(), 500);
  EXPECT_LT(rig.cache.idle_tokens(), 600);
}

// Where a copy takes all that a slot has room for, a short prefix isn't worth one.
TEST(SlotCacheTest, ACopyOfAWholeSlotHasToPay) {
  for (const auto& [whole_slot, cached] : {std::pair(0, 40), std::pair(4096, 0)}) {
    SlotRig rig({.slots = 3, .shares_prefixes = true, .whole_slot = whole_slot});
    rig.Live(Prompt(1, 500));
    EXPECT_EQ(rig.Live(Joined(Prompt(1, 40), Prompt(2, 30))), cached);
    EXPECT_EQ(rig.Live(Joined(Prompt(1, 200), Prompt(3, 30))), 200);
  }
}

// The costs are the caller's: here the first tokens of a sequence are for nothing.
TEST(SlotCacheTest, WhatCostsNothingIsNotCopied) {
  KvCosts costs;
  costs.compute = [](int from, int to) { return static_cast<double>(std::max(to, 100) - std::max(from, 100)) + 1e-3 * (to - from); };
  SlotRig rig({.slots = 2, .shares_prefixes = true, .costs = costs});
  rig.Live(Prompt(1, 500));
  EXPECT_EQ(rig.Live(Joined(Prompt(1, 3), Prompt(2, 60))), 0);
  EXPECT_EQ(rig.Live(Joined(Prompt(1, 200), Prompt(2, 60))), 200);
}

TEST(SlotCacheTest, ALongPrefixIsCopiedWhereTheRestIsWorthKeeping) {
  SlotRig rig(2);
  const int slot = rig.Run(Prompt(1, 500)).slot;
  rig.Release(slot);
  const SlotGrant other = rig.Admit(Joined(Prompt(1, 100), Prompt(2, 30)));
  EXPECT_NE(other.slot, slot);
  EXPECT_EQ(other.cached_tokens, 100);
  EXPECT_EQ(rig.held(slot).size(), 500U);
}

TEST(SlotCacheTest, TheOnlySlotIsTakenOverWhateverItHolds) {
  SlotRig rig(1);
  rig.Release(rig.Run(Prompt(1, 500)).slot);
  EXPECT_EQ(rig.Admit(Joined(Prompt(1, 20), Prompt(2, 30))).cached_tokens, 20);
}

TEST(SlotCacheTest, RowsThatAnEngineWantsTogetherAreComputedAgain) {
  SlotCache cache({.slots = 2, .shares_prefixes = true, .dense = false, .rows_after_prefix = 64});
  std::vector<KvOperation> operations;
  for (const auto& [length, cached] : std::vector<std::pair<int, int>>{{300, 236}, {130, 66}, {64, 0}, {63, 62}, {1, 0}}) {
    const Tokens prompt = Prompt(length, length);
    for (const int expected : {0, cached}) {
      const auto grant = cache.Admit({prompt, kCommonRoot}, operations);
      ASSERT_TRUE(grant);
      EXPECT_EQ(grant->cached_tokens, expected) << length;
      cache.Append(grant->slot, std::span(prompt).subspan(grant->cached_tokens));
      cache.Release(grant->slot, true, operations);
      cache.CheckInvariants();
    }
  }
}

TEST(SlotCacheTest, TheLeastRecentlyUsedMakesRoom) {
  SlotRig rig(3);
  for (int family : {1, 2, 3}) rig.Release(rig.Run(Prompt(family, 100)).slot);
  rig.Release(rig.Run(Prompt(1, 100)).slot);
  rig.Run(Prompt(4, 100));
  EXPECT_EQ(rig.Admit(Prompt(1, 100)).cached_tokens, 99);
  EXPECT_EQ(rig.Admit(Prompt(3, 100)).cached_tokens, 99) << "2 was the oldest";
}

TEST(SlotCacheTest, RunningSequencesShareWhatTheyHaveComputed) {
  SlotRig rig(4);
  const SlotGrant leader = rig.Run(Prompt(1, 200, 1, 10));
  const SlotGrant follower = rig.Admit(Prompt(1, 200, 2, 10));
  EXPECT_NE(follower.slot, leader.slot);
  EXPECT_EQ(follower.cached_tokens, 200);
  EXPECT_EQ(rig.Count(Kind::kCopy), 1);
  EXPECT_EQ(rig.held(leader.slot).size(), 210U);
}

TEST(SlotCacheTest, AFollowerWaitsWhileALeaderComputesThePrefixAndNoLonger) {
  SlotRig rig(4);
  const Tokens prompt = Prompt(1, 200, 1, 10);
  const Tokens follower = Prompt(1, 200, 2, 10);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({follower, kCommonRoot}));
  const SlotGrant leader = rig.Admit(prompt);
  EXPECT_TRUE(rig.cache.IsWorthWaiting({follower, kCommonRoot}));
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Prompt(2, 200), kCommonRoot}));
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Prompt(1, 40, 2, 10), kCommonRoot})) << "less than a step";
  rig.Append(leader.slot, Tokens(prompt.begin(), prompt.begin() + 150));
  EXPECT_TRUE(rig.cache.IsWorthWaiting({follower, kCommonRoot}));
  rig.Append(leader.slot, Tokens(prompt.begin() + 150, prompt.begin() + 200));
  EXPECT_FALSE(rig.cache.IsWorthWaiting({follower, kCommonRoot})) << "the shared part is there";
}

// The leader's own tokens would be in the way when the short prefix is there.
TEST(SlotCacheTest, NobodyWaitsForAShortPrefixOfALongPrompt) {
  SlotRig rig(4);
  rig.Admit(Prompt(1, 100, 1, 3000));
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Prompt(1, 100, 2, 10), kCommonRoot}));
  rig.Admit(Prompt(2, 2000, 1, 3000));
  EXPECT_TRUE(rig.cache.IsWorthWaiting({Prompt(2, 2000, 2, 10), kCommonRoot}));
}

TEST(SlotCacheTest, WithoutItsLeaderAFollowerTakesWhatThereIs) {
  SlotRig rig(4);
  const Tokens prompt = Prompt(1, 200, 1, 10);
  const SlotGrant leader = rig.Admit(prompt);
  rig.Append(leader.slot, Tokens(prompt.begin(), prompt.begin() + 150));
  rig.Release(leader.slot);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Prompt(1, 200, 2, 10), kCommonRoot}));
  EXPECT_EQ(rig.Admit(Prompt(1, 200, 2, 10)).cached_tokens, 150);
}

TEST(SlotCacheTest, WhatFailedIsNotShared) {
  SlotRig rig(2);
  rig.Release(rig.Run(Prompt(1, 100)).slot, /*keep=*/false);
  EXPECT_EQ(rig.cache.idle_tokens(), 0);
  EXPECT_EQ(rig.Admit(Prompt(1, 100)).cached_tokens, 0);
}

TEST(SlotCacheTest, WhereTheEngineCannotShareNothingStays) {
  SlotRig rig(2, false, /*shares=*/false);
  rig.Release(rig.Run(Prompt(1, 100)).slot);
  EXPECT_EQ(rig.cache.idle_tokens(), 0);
  EXPECT_EQ(rig.Admit(Prompt(1, 100)).cached_tokens, 0);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({Prompt(1, 100), kCommonRoot}));
}

TEST(SlotCacheTest, NothingIsGrantedWhereAllRun) {
  SlotRig rig(1);
  rig.Run(Prompt(1, 10));
  std::vector<KvOperation> operations;
  EXPECT_FALSE(rig.cache.Admit({Prompt(2, 10), kCommonRoot}, operations));
  EXPECT_TRUE(operations.empty());
}

TEST(SlotCacheTest, DenseSequencesStartBesideEachOtherAndIdleOnesMakeWay) {
  SlotRig rig(4, /*dense=*/true);
  const int a = rig.Run(Prompt(1, 100)).slot;
  const int b = rig.Run(Prompt(2, 100)).slot;
  rig.Release(a);
  const int c = rig.Run(Prompt(3, 100)).slot;
  EXPECT_EQ(std::abs(b - c), 1);
  EXPECT_EQ(rig.cache.idle_tokens(), 100) << "what lay there has moved";
  const SlotGrant again = rig.Run(Prompt(1, 100));
  EXPECT_EQ(again.cached_tokens, 99);
  EXPECT_FALSE(rig.cache.GapToClose());
}

TEST(SlotCacheTest, AGapIsClosedAndKeepsWhatIsIdle) {
  SlotRig rig(4, /*dense=*/true);
  std::vector<int> slots;
  for (int family : {1, 2, 3}) slots.push_back(rig.Run(Prompt(family, 100)).slot);
  EXPECT_FALSE(rig.cache.GapToClose());
  rig.Release(slots[1]);
  const auto gap = rig.cache.GapToClose();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->from, slots[2]);
  EXPECT_EQ(gap->to, slots[1]);
  rig.Close(*gap);
  EXPECT_FALSE(rig.cache.GapToClose());
  EXPECT_EQ(rig.held(gap->to), Prompt(3, 100));
  EXPECT_EQ(rig.cache.idle_tokens(), 100);
  EXPECT_EQ(rig.Admit(Prompt(2, 100)).cached_tokens, 99);
}

// Whatever happens, in any order: what is granted is what the engine holds.
TEST(SlotCacheTest, RandomLivesKeepTheBooks) {
  for (const bool dense : {false, true}) {
    SlotRig rig(5, dense);
    std::map<int, Tokens> left;  // of each running slot's prompt
    std::int64_t cached = 0;
    for (std::uint64_t turn = 0; turn < 5000; ++turn) {
      const auto pick = [&](std::uint32_t stream, int most) { return static_cast<int>(UniformAt(dense ? 1 : 2, stream, turn) * most); };
      const int action = pick(0, 4);
      if (action == 0 && left.size() < 5) {
        const Tokens prompt = Prompt(1 + pick(1, 3), 1 + pick(2, 300), pick(3, 4), pick(4, 100));
        const SlotGrant grant = rig.Admit(prompt);
        cached += grant.cached_tokens;
        ASSERT_FALSE(left.contains(grant.slot));
        left[grant.slot] = Tokens(prompt.begin() + grant.cached_tokens, prompt.end());
      } else if (!left.empty()) {
        auto running = std::next(left.begin(), pick(5, static_cast<int>(left.size())));
        if (action == 1) {
          rig.Release(running->first, pick(6, 5) > 0);
          left.erase(running);
        } else {
          const auto rows = std::min<std::size_t>(running->second.size(), 1 + pick(7, 60));
          rig.Append(running->first, Tokens(running->second.begin(), running->second.begin() + rows));
          running->second.erase(running->second.begin(), running->second.begin() + rows);
        }
      }
      if (const auto gap = rig.cache.GapToClose(); gap && pick(8, 2) == 0) {
        ASSERT_TRUE(left.contains(gap->from) && !left.contains(gap->to));
        rig.Close(*gap);
        left[gap->to] = std::move(left[gap->from]);
        left.erase(gap->from);
      }
      ASSERT_EQ(rig.cache.in_use(), static_cast<int>(left.size()));
    }
    EXPECT_GT(cached, 10'000);
  }
}

TEST(SlotCacheTest, NothingIsSharedBetweenRoots) {
  SlotRig rig(4);
  const Tokens prompt = Prompt(1, 200);
  rig.Release(rig.Run(prompt).slot);
  const SlotGrant of_another = rig.Admit(prompt, 2);
  EXPECT_EQ(of_another.cached_tokens, 0);
  EXPECT_FALSE(rig.cache.IsWorthWaiting({prompt, 3})) << "who waits for another's prefix learns of it by the time";
  EXPECT_TRUE(rig.cache.IsWorthWaiting({Prompt(1, 200, 2, 10), 2}));
  rig.Compute(of_another, prompt);
  EXPECT_EQ(rig.Admit(prompt, 3).cached_tokens, 0);
  EXPECT_EQ(rig.Admit(prompt, 2).cached_tokens, 199);
  EXPECT_EQ(rig.Count(Kind::kCopy), 1);
}

}  // namespace
}  // namespace cllm
