// Prefixes that sequences share, of earlier ones and of those that run.
#include <chrono>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

FakeEngineOptions SharingEngine(bool dense = false) {
  FakeEngineOptions options;
  options.max_step_tokens = 64;
  options.max_context = 512;
  options.max_sequences = 4;
  options.can_trim_sequences = true;
  options.prefers_dense_slots = dense;
  return options;
}

std::vector<TokenId> Joined(std::vector<TokenId> first, const std::vector<TokenId>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(SchedulerSharingTest, ARepeatComputesOneTokenAndAnswersTheSame) {
  SchedulerRig rig(SharingEngine());
  const auto prompt = SomePrompt(150, 1);
  const RequestId first = rig.Add(prompt, 10);
  rig.RunToEnd();
  const RequestId again = rig.Add(prompt, 10, [](SequenceRequest& request) { request.reports_prompt = true; });
  const StepPlan plan = rig.Step();
  EXPECT_EQ(plan.tokens.size(), 1U);
  EXPECT_EQ(rig.outcome(again).prompt_tokens, std::vector<int>{150}) << "what was found counts as computed";
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(first).cached_tokens, 0);
  EXPECT_EQ(rig.outcome(again).cached_tokens, 149);
  EXPECT_EQ(rig.tokens(again), FakeAnswer(prompt, 10));
  EXPECT_EQ(rig.tokens(first), rig.tokens(again));
}

TEST(SchedulerSharingTest, AConversationGoesOnFromItsAnswer) {
  SchedulerRig rig(SharingEngine());
  const auto prompt = SomePrompt(100, 1);
  const RequestId first = rig.Add(prompt, 20);
  rig.RunToEnd();
  const auto next = Joined(Joined(prompt, rig.tokens(first)), SomePrompt(10, 9));
  const RequestId second = rig.Add(next, 5);
  rig.RunToEnd();
  EXPECT_GE(rig.outcome(second).cached_tokens, 119) << "the last token of an answer is never computed";
  EXPECT_EQ(rig.tokens(second), FakeAnswer(next, 5));
}

// Of sixteen requests with one long beginning only the first computes it.
TEST(SchedulerSharingTest, FollowersOfARunningLeaderComputeTheirOwnTailsOnly) {
  for (const bool dense : {false, true}) {
    FakeEngineOptions engine = SharingEngine(dense);
    engine.max_sequences = 16;
    SchedulerRig rig(engine);
    const auto prefix = SomePrompt(300, 1);
    std::vector<RequestId> ids;
    std::vector<std::vector<TokenId>> prompts;
    for (int i = 0; i < 16; ++i) {
      prompts.push_back(Joined(prefix, SomePrompt(10, 100 + i)));
      ids.push_back(rig.Add(prompts.back(), 8));
    }
    std::size_t computed = 0;
    while (rig.scheduler.HasWork()) computed += rig.Step().tokens.size();
    // The leader's prompt, the tails (whose first tokens may agree), and the answers.
    EXPECT_LE(computed, 310U + 15 * 10 + 16 * 8);
    for (int i = 0; i < 16; ++i) {
      EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(prompts[i], 8)) << "request " << i;
      EXPECT_EQ(rig.end(ids[i]).state, RequestState::kFinished);
    }
  }
}

TEST(SchedulerSharingTest, OthersPassAFollowerThatWaits) {
  SchedulerRig rig(SharingEngine());
  const auto prefix = SomePrompt(300, 1);
  rig.Add(Joined(prefix, SomePrompt(5, 7)), 50);
  const RequestId follower = rig.Add(Joined(prefix, SomePrompt(5, 8)), 5);
  const RequestId other = rig.Add(SomePrompt(5, 3), 5);
  rig.Step();
  EXPECT_EQ(rig.outcome(follower).starts, 0);
  EXPECT_EQ(rig.outcome(other).starts, 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(follower).cached_tokens, 300);
}

TEST(SchedulerSharingTest, AFollowerTakesTheLeadWhenItsLeaderLeaves) {
  constexpr auto kCancel = RequestControl::Signal::kCancel;
  const std::vector<std::function<void(SchedulerRig&, RequestId)>> ways = {
      [](auto& rig, RequestId leader) { rig.Signal(leader, kCancel); },
      [](auto& rig, RequestId) { rig.now += std::chrono::seconds(10); },
  };
  for (const auto& leave : ways) {
    SchedulerRig rig(SharingEngine());
    const auto prefix = SomePrompt(300, 1);
    const RequestId leader = rig.Add(Joined(prefix, SomePrompt(5, 7)), 50,
                                     [&](SequenceRequest& request) { request.deadline = rig.now + std::chrono::seconds(5); });
    const auto prompt = Joined(prefix, SomePrompt(5, 8));
    const RequestId second = rig.Add(prompt, 5);
    const RequestId third = rig.Add(Joined(prefix, SomePrompt(5, 9)), 5);
    rig.Step();
    rig.Step();
    leave(rig, leader);
    rig.RunToEnd();
    EXPECT_NE(rig.end(leader).state, RequestState::kFinished);
    EXPECT_EQ(rig.outcome(second).cached_tokens, 128) << "what the leader had computed";
    EXPECT_EQ(rig.outcome(third).cached_tokens, 300);
    EXPECT_EQ(rig.tokens(second), FakeAnswer(prompt, 5));
  }
}

TEST(SchedulerSharingTest, AFailedLeaderLeavesNothingBehind) {
  FakeEngineOptions engine = SharingEngine();
  engine.poison_token = 0;
  SchedulerRig rig(engine);
  const auto prefix = SomePrompt(300, 1);
  const RequestId failing = rig.Add(Joined(prefix, {0}), 5);
  const RequestId follower = rig.Add(Joined(prefix, SomePrompt(5, 8)), 5);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(failing).state, RequestState::kFailed);
  EXPECT_EQ(rig.tokens(follower), FakeAnswer(Joined(prefix, SomePrompt(5, 8)), 5));
}

// A step of so long, and so much longer for each row.
void TakeTime(SchedulerRig& rig, double step_ms, double row_ms) {
  rig.step_time = [=](const StepPlan& plan) {
    const std::chrono::duration<double, std::milli> time(step_ms + row_ms * static_cast<double>(plan.tokens.size()));
    return std::chrono::duration_cast<TimePoint::duration>(time);
  };
}

TEST(SchedulerSharingTest, RepeatsOfAShortPromptHitBehindLongAnswers) {
  for (const bool dense : {false, true}) {
    // On a machine where rows cost, and on one where they hardly do.
    for (const auto& [step_ms, row_ms] : {std::pair(5.0, 1.0), std::pair(20.0, 0.001)}) {
      SchedulerRig rig(SharingEngine(dense));
      TakeTime(rig, step_ms, row_ms);
      const auto prompt = SomePrompt(30, 1);
      for (int turn = 0; turn < 12; ++turn) {
        const RequestId id = rig.Add(prompt, 120, [&](SequenceRequest& request) {
          request.sampling.temperature = 100;
          request.sampling.seed = static_cast<std::uint64_t>(turn);
        });
        rig.RunToEnd();
        EXPECT_EQ(rig.outcome(id).cached_tokens, turn == 0 ? 0 : 29) << "turn " << turn << ", rows of " << row_ms << " ms";
      }
    }
  }
}

// Who waits for a leader comes a step later: that pays where the step is cheaper than the rows.
TEST(SchedulerSharingTest, AWaitForAShortPrefixHasToBeWorthAStep) {
  for (const auto& [step_ms, row_ms, waits] : {std::tuple(5.0, 1.0, true), std::tuple(100.0, 0.1, false)}) {
    SchedulerRig rig(SharingEngine());
    TakeTime(rig, step_ms, row_ms);
    for (const int length : {50, 20}) {
      rig.Add(SomePrompt(length, length), 20);
      rig.RunToEnd();
    }
    const auto prompt = SomePrompt(30, 1);
    std::vector<RequestId> ids;
    for (int i = 0; i < 2; ++i) ids.push_back(rig.Add(prompt, 8));
    EXPECT_EQ(rig.Step().tokens.size(), waits ? 30U : 60U);
    rig.RunToEnd();
    EXPECT_EQ(rig.outcome(ids[1]).cached_tokens, waits ? 29 : 0);
    for (const RequestId id : ids) EXPECT_EQ(rig.tokens(id), FakeAnswer(prompt, 8));
  }
}

TEST(SchedulerSharingTest, SwitchedOffNothingIsKept) {
  SchedulerRig rig(SharingEngine(), {.prefix_cache = false});
  const auto prompt = SomePrompt(150, 1);
  rig.Add(prompt, 3);
  rig.RunToEnd();
  EXPECT_EQ(rig.engine.tokens_held(), 0);
  const RequestId again = rig.Add(prompt, 3);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(again).cached_tokens, 0);
}

}  // namespace
}  // namespace cllm
