// Prompts whose tokens are scored.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

constexpr int kVocab = 256;

// What an undisturbed run says of `prompt`: alternatives beside the likeliest one are equal, the lowest ids come first.
std::vector<TokenScore> FakeScores(const std::vector<TokenId>& prompt, int alternatives) {
  std::vector<TokenScore> scores{{.token = prompt.front()}};
  SamplerScratch scratch;
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    std::vector<float> logits(kVocab, -10.0F);
    logits[static_cast<std::size_t>(FakeEngine::NextToken(std::span(prompt).first(i), kVocab))] = 10.0F;
    scores.push_back(ScoreToken(logits, prompt[i], alternatives, scratch).value());
  }
  return scores;
}

// A prompt of which the model would have said every other token itself.
std::vector<TokenId> HalfExpected(int length) {
  std::vector<TokenId> prompt{5};
  while (static_cast<int>(prompt.size()) < length) {
    prompt.push_back(prompt.size() % 2 == 0 ? 7 : FakeEngine::NextToken(prompt, kVocab));
  }
  return prompt;
}

void ExpectScored(const SchedulerRig& rig, RequestId id, const std::vector<TokenId>& prompt, int max_tokens, int alternatives) {
  EXPECT_EQ(rig.outcome(id).scores, FakeScores(prompt, alternatives)) << "request " << id;
  EXPECT_EQ(rig.tokens(id), FakeAnswer(prompt, max_tokens)) << "request " << id;
  EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
}

int MostLogitRows(const StepPlan& plan) {
  int most = 0;
  for (const SequenceWork& work : plan.sequences) most = std::max(most, work.output == RowOutput::kLogits ? work.logit_rows : 0);
  return most;
}

TEST(SchedulerScoringTest, EachTokenIsScoredByTheLogitsBeforeIt) {
  for (const int length : {1, 2, 3, 16, 17, 18, 33, 60}) {
    for (const int max_tokens : {0, 1, 5}) {
      SchedulerRig rig({.max_logit_rows = 16});
      const RequestId id = rig.AddScored(HalfExpected(length), max_tokens, 2);
      rig.RunToEnd();
      ExpectScored(rig, id, HalfExpected(length), max_tokens, 2);
    }
  }
}

TEST(SchedulerScoringTest, ChunksAreNoLongerThanThereIsRoomForLogits) {
  SchedulerRig rig({.max_step_tokens = 64, .max_logit_rows = 9});
  const RequestId id = rig.AddScored(SomePrompt(25, 1), 1, 0);
  EXPECT_EQ(rig.Step().sequences, (std::vector<SequenceWork>{{.rows = 10, .output = RowOutput::kLogits, .logit_rows = 10}}));
  EXPECT_EQ(rig.Step().sequences,
            (std::vector<SequenceWork>{{.computed = 10, .rows = 10, .output = RowOutput::kLogits, .logit_rows = 10}}));
  EXPECT_EQ(rig.Step().sequences, (std::vector<SequenceWork>{{.computed = 20, .rows = 5, .output = RowOutput::kLogits, .logit_rows = 5}}));
  rig.RunToEnd();
  ExpectScored(rig, id, SomePrompt(25, 1), 1, 0);
}

TEST(SchedulerScoringTest, OthersUseTheRoomThatAScoredPromptLeaves) {
  SchedulerRig rig({.max_step_tokens = 64, .max_logit_rows = 9});
  const RequestId scored = rig.AddScored(SomePrompt(25, 1), 1, 0);
  const RequestId other = rig.Add(SomePrompt(40, 2), 3);
  const RequestId also_scored = rig.AddScored(SomePrompt(12, 3), 1, 0);
  const StepPlan plan = rig.Step();
  EXPECT_EQ(plan.tokens.size(), 50U);
  EXPECT_FALSE(rig.tokens(other).empty());
  rig.RunToEnd();
  ExpectScored(rig, scored, SomePrompt(25, 1), 1, 0);
  ExpectScored(rig, also_scored, SomePrompt(12, 3), 1, 0);
}

TEST(SchedulerScoringTest, APrefixIsComputedAnewAndLeftToOthers) {
  SchedulerRig rig({.can_trim_sequences = true});
  rig.Add(SomePrompt(20, 1), 1);
  rig.RunToEnd();
  const RequestId scored = rig.AddScored(SomePrompt(20, 1), 1, 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(scored).cached_tokens, 0);
  ExpectScored(rig, scored, SomePrompt(20, 1), 1, 1);
  std::vector<TokenId> longer = SomePrompt(20, 1);
  longer.insert(longer.end(), {9, 9, 9});
  const RequestId after = rig.Add(longer, 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(after).cached_tokens, 20);
}

TEST(SchedulerScoringTest, WithoutAnAnswerAPromptIsComputedForTheCache) {
  SchedulerRig rig({.can_trim_sequences = true});
  const RequestId id = rig.Add(SomePrompt(20, 1), 0);
  EXPECT_EQ(rig.Step().sequences, (std::vector<SequenceWork>{{.rows = 20, .output = RowOutput::kNothing}}));
  rig.RunToEnd();
  EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
  const RequestId again = rig.Add(SomePrompt(20, 1), 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(again).cached_tokens, 19);
}

// A row that gives logits takes as long here as ten that don't.
TimePoint::duration CostlyLogits(const StepPlan& plan) {
  int outputs = 0;
  for (const SequenceWork& work : plan.sequences) outputs += work.output == RowOutput::kLogits ? work.logit_rows : 0;
  return std::chrono::microseconds(4000 + 100 * plan.tokens.size() + 1000 * static_cast<std::size_t>(outputs));
}

TEST(SchedulerScoringTest, LogitsAreAPartOfTheTimeThatAStepMayTake) {
  SchedulerRig rig({.max_step_tokens = 512, .max_logit_rows = 500, .max_context = 1024});
  rig.step_time = CostlyLogits;
  const RequestId stream = rig.Add(SomePrompt(2, 1), 600);
  rig.Add(SomePrompt(2, 2), 600);
  while (rig.tokens(stream).size() < 20) rig.Step();
  const RequestId scored = rig.AddScored(SomePrompt(300, 3), 1, 0);
  TimePoint::duration longest{};
  TimePoint::duration longest_after_first{};
  for (int steps = 0; !rig.ended(scored); ++steps) {
    const TimePoint before = rig.now;
    rig.Step();
    longest = std::max(longest, rig.now - before);
    if (steps > 3) longest_after_first = std::max(longest_after_first, rig.now - before);
  }
  const TimePoint::duration alone = std::chrono::microseconds(4000 + 2 * 1100);
  EXPECT_LT(longest, 4 * alone);
  EXPECT_LT(longest_after_first, 2 * alone);
  rig.RunToEnd();
}

TEST(SchedulerScoringTest, WhatGivesWayIsScoredOnce) {
  SchedulerRig rig(
      {.max_sequences = 4, .max_step_tokens = 16, .max_logit_rows = 3, .max_context = 64, .kv_block_tokens = 8, .kv_blocks = 8});
  const RequestId low = rig.AddScored(SomePrompt(40, 1), 20, 1, [](SequenceRequest& request) { request.priority = -1; });
  const RequestId high = rig.Add(SomePrompt(8, 2), 40);
  rig.RunToEnd();
  EXPECT_GT(rig.preemptions, 0);
  ExpectScored(rig, low, SomePrompt(40, 1), 20, 1);
  EXPECT_EQ(rig.tokens(high), FakeAnswer(SomePrompt(8, 2), 40));
}

TEST(SchedulerScoringTest, LoadLeavesNoTrace) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SchedulerRig rig({.max_sequences = 6, .max_step_tokens = 24, .max_logit_rows = 7});
    rig.step_time = CostlyLogits;
    std::vector<RequestId> scored;
    for (int i = 0; i < 12; ++i) {
      const auto length = 1 + static_cast<int>(UniformAt(seed, 0, static_cast<std::uint64_t>(i)) * 50);
      if (i % 2 == 0) scored.push_back(rig.AddScored(SomePrompt(length, i), i % 3, 2));
      if (i % 2 == 1) rig.Add(SomePrompt(length, i), 10);
      EXPECT_LE(MostLogitRows(rig.Step()), 8);
    }
    rig.RunToEnd();
    for (const RequestId id : scored) {
      const auto i = static_cast<int>(id) - 1;
      const auto length = 1 + static_cast<int>(UniformAt(seed, 0, static_cast<std::uint64_t>(i)) * 50);
      ExpectScored(rig, id, SomePrompt(length, i), i % 3, 2);
    }
  }
}

TEST(SchedulerScoringTest, AStopTokenIsNamedByTheEnd) {
  SchedulerRig rig;
  const std::vector<TokenId> prompt = SomePrompt(4, 1);
  const TokenId first = FakeAnswer(prompt, 1).front();
  const RequestId id = rig.AddScored(prompt, 5, 0, [&](SequenceRequest& request) {
    request.stop_tokens = {first};
    request.sampling.top_logprobs = 1;
  });
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(id).scores.size(), 4U);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kStop);
  ASSERT_TRUE(rig.end(id).stop_token);
  EXPECT_EQ(rig.end(id).stop_token->token, first);
  EXPECT_EQ(rig.end(id).stop_token->top.size(), 1U);
}

}  // namespace
}  // namespace cllm
