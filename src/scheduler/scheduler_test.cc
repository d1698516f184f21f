#include "scheduler/scheduler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

int Rows(const StepPlan& plan, int slot) {
  for (const SequenceWork& work : plan.sequences) {
    if (work.slot == slot) return work.rows;
  }
  return 0;
}

TEST(SchedulerTest, OneRequestGetsTheModelsAnswer) {
  SchedulerRig rig;
  const auto prompt = SomePrompt(5, 1);
  const RequestId id = rig.Add(prompt, 7);
  EXPECT_TRUE(rig.scheduler.HasWork());
  EXPECT_EQ(rig.scheduler.queued(), 1);
  const StepPlan plan = rig.Step();
  EXPECT_EQ(plan.tokens, prompt);
  EXPECT_EQ(plan.sequences, (std::vector<SequenceWork>{{0, 0, 0, 5, RowOutput::kLogits}}));
  EXPECT_EQ(rig.scheduler.running(), 1);
  EXPECT_EQ(rig.scheduler.computed_tokens(), 5);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id), FakeAnswer(prompt, 7));
  EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
  EXPECT_EQ(rig.engine.steps(), 8) << "prompt, six decodes, and the step that drops the KV";
  EXPECT_EQ(rig.scheduler.computed_tokens(), 0);
}

TEST(SchedulerTest, AnswersDoNotDependOnTheBatchAround) {
  SchedulerRig rig({.max_sequences = 7, .max_step_tokens = 16});
  std::vector<std::pair<RequestId, std::vector<TokenId>>> expected;
  for (int i = 0; i < 40; ++i) {
    const auto prompt = SomePrompt(1 + (i * 13) % 50, i);
    const int most = 1 + (i * 7) % 20;
    expected.emplace_back(rig.Add(prompt, most), FakeAnswer(prompt, most));
    if (i % 3 == 0) rig.Step();
  }
  rig.RunToEnd();
  for (const auto& [id, answer] : expected) EXPECT_EQ(rig.tokens(id), answer) << "request " << id;
}

// With a temperature so high that the draw matters.
TEST(SchedulerTest, SampledAnswersDoNotDependOnTheBatchAroundEither) {
  const auto sampled = [](SequenceRequest& request) {
    request.sampling = {.temperature = 100, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 99};
  };
  SchedulerRig alone;
  const RequestId lone = alone.Add(SomePrompt(9, 1), 20, sampled);
  alone.RunToEnd();
  EXPECT_NE(alone.tokens(lone), FakeAnswer(SomePrompt(9, 1), 20));

  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 8});
  for (int i = 0; i < 5; ++i) rig.Add(SomePrompt(20, i), 9, sampled);
  const RequestId among = rig.Add(SomePrompt(9, 1), 20, sampled);
  for (int i = 0; i < 5; ++i) rig.Add(SomePrompt(20, i), 9, sampled);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(among), alone.tokens(lone));
}

TEST(SchedulerTest, SequencesJoinAndLeaveAtEveryStep) {
  SchedulerRig rig({.max_sequences = 4});
  std::vector<RequestId> ids;
  for (int step = 0; step < 30; ++step) {
    ids.push_back(rig.Add(SomePrompt(3, step), 3));
    rig.Step();
    EXPECT_EQ(rig.outcome(ids.back()).starts, 1) << "a new request joins the next step";
    EXPECT_EQ(rig.tokens(ids.back()).size(), 1U);
    EXPECT_TRUE(step < 2 || rig.ended(ids[step - 2])) << "and leaves with its last token";
    EXPECT_EQ(rig.scheduler.running(), std::min(step + 1, 2));
  }
  rig.RunToEnd();
}

TEST(SchedulerTest, WhatIsBeyondTheMostRunningWaitsInOrder) {
  SchedulerRig rig({.max_sequences = 3});
  std::vector<RequestId> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(rig.Add(SomePrompt(4, i), 2 + i % 3));
  rig.Step();
  EXPECT_EQ(rig.scheduler.running(), 3);
  EXPECT_EQ(rig.scheduler.queued(), 5);
  rig.Step();
  EXPECT_TRUE(rig.ended(ids[0]));
  rig.Step();
  EXPECT_EQ(rig.outcome(ids[3]).starts, 1) << "the place is taken again in the very next step";
  rig.RunToEnd();
  EXPECT_EQ(rig.start_order, ids);
}

TEST(SchedulerTest, TheMostRunningIsTheLeastOfThreeLimits) {
  const auto most_running = [](int batch, int sequences, int step_tokens) {
    const FakeEngine engine({.max_sequences = sequences, .max_step_tokens = step_tokens});
    return Scheduler({.max_batch_size = batch}, engine.capabilities()).max_running();
  };
  EXPECT_EQ(most_running(2, 3, 4), 2);
  EXPECT_EQ(most_running(9, 3, 4), 3);
  EXPECT_EQ(most_running(9, 9, 4), 4);
}

TEST(SchedulerTest, DecodesComeFirstThenPromptChunksInOrderOfArrival) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 8});
  rig.Add(SomePrompt(20, 1), 9);
  rig.Step();                    // slot 0 has 8 of 20
  rig.Add(SomePrompt(2, 2), 9);  // slot 1
  rig.Step();                    // slot 0 has 16
  rig.Add(SomePrompt(3, 3), 9);  // slot 2
  const StepPlan third = rig.Step();
  EXPECT_EQ(third.sequences, (std::vector<SequenceWork>{
                                 {0, 16, 0, 4, RowOutput::kLogits}, {1, 0, 4, 2, RowOutput::kLogits}, {2, 0, 6, 2, RowOutput::kNothing}}));
  rig.Add(SomePrompt(30, 4), 9);  // slot 3
  const StepPlan fourth = rig.Step();
  EXPECT_EQ(fourth.sequences, (std::vector<SequenceWork>{{0, 20, 0, 1, RowOutput::kLogits},
                                                         {1, 2, 1, 1, RowOutput::kLogits},
                                                         {2, 2, 2, 1, RowOutput::kLogits},
                                                         {3, 0, 3, 5, RowOutput::kNothing}}));
  rig.RunToEnd();
}

TEST(SchedulerTest, ADecodeThatArrivedLastStillComesFirst) {
  SchedulerRig rig({.max_sequences = 2, .max_step_tokens = 4});
  rig.Add(SomePrompt(9, 1), 2);
  rig.Step();                    // slot 0 has 4 of 9
  rig.Add(SomePrompt(1, 2), 5);  // one token missing from the start: it goes before the older prompt
  EXPECT_EQ(rig.Step().sequences, (std::vector<SequenceWork>{{1, 0, 0, 1, RowOutput::kLogits}, {0, 4, 1, 3, RowOutput::kNothing}}));
  EXPECT_EQ(rig.Step().sequences, (std::vector<SequenceWork>{{1, 1, 0, 1, RowOutput::kLogits}, {0, 7, 1, 2, RowOutput::kLogits}}));
  rig.RunToEnd();
}

TEST(SchedulerTest, PromptsGoInChunksOfTheStepsSize) {
  for (const int length : {1, 7, 8, 9, 15, 16, 17, 64}) {
    SchedulerRig rig({.max_step_tokens = 8});
    const RequestId id = rig.Add(SomePrompt(length, length), 1);
    std::vector<int> chunks;
    while (!rig.ended(id)) chunks.push_back(Rows(rig.Step(), 0));
    std::vector<int> expected(length / 8, 8);
    if (length % 8 != 0) expected.push_back(length % 8);
    EXPECT_EQ(chunks, expected) << "a prompt of " << length << " tokens";
    EXPECT_EQ(rig.tokens(id), FakeAnswer(SomePrompt(length, length), 1));
    rig.RunToEnd();
  }
}

TEST(SchedulerTest, EachChunkOfAPromptIsReportedToWhomAsks) {
  SchedulerRig rig({.max_step_tokens = 8});
  const auto reports = [](SequenceRequest& request) { request.reports_prompt = true; };
  const RequestId silent = rig.Add(SomePrompt(20, 1), 3);
  rig.RunToEnd();
  EXPECT_TRUE(rig.outcome(silent).prompt_tokens.empty());
  const RequestId first = rig.Add(SomePrompt(20, 2), 3, reports);
  rig.RunToEnd();
  EXPECT_EQ(rig.outcome(first).prompt_tokens, (std::vector<int>{8, 16, 20})) << "and its answer is no prompt";
}

TEST(SchedulerTest, ALongPromptNeverDelaysADecode) {
  SchedulerRig rig({.max_sequences = 3, .max_step_tokens = 8});
  const RequestId a = rig.Add(SomePrompt(2, 1), 100);
  const RequestId b = rig.Add(SomePrompt(2, 2), 100);
  rig.Step();
  const RequestId long_one = rig.Add(SomePrompt(200, 3), 3);
  int steps = 0;
  while (rig.tokens(long_one).empty()) {
    rig.Step();
    ++steps;
    EXPECT_EQ(rig.tokens(a).size(), 1U + steps);
    EXPECT_EQ(rig.tokens(b).size(), 1U + steps);
  }
  EXPECT_EQ(steps, 34) << "200 tokens, 6 a step beside two decodes";
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(long_one), FakeAnswer(SomePrompt(200, 3), 3));
}

TEST(SchedulerTest, AsManyDecodesAsAStepHoldsLeaveNobodyOut) {
  SchedulerRig rig({.max_sequences = 8, .max_step_tokens = 4});
  for (int i = 0; i < 10; ++i) rig.Add(SomePrompt(1 + i, i), 12);
  rig.RunToEnd();
}

TEST(SchedulerTest, TheLowestFreeSlotIsUsedFirst) {
  SchedulerRig rig({.max_sequences = 4});
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(rig.Add(SomePrompt(4, i), 50));
  rig.Step();
  rig.Signal(ids[2], RequestControl::Signal::kCancel);
  rig.Signal(ids[0], RequestControl::Signal::kCancel);
  rig.Step();
  rig.Add(SomePrompt(30, 7), 50);
  rig.Add(SomePrompt(40, 8), 50);
  const StepPlan plan = rig.Step();
  EXPECT_EQ(Rows(plan, 0), 30);
  EXPECT_EQ(Rows(plan, 2), 32) << "64 tokens a step less 2 decodes and 30";
  rig.RunToEnd();
}

TEST(SchedulerTest, AGapInTheMiddleOfTheQueueChangesNoOrder) {
  SchedulerRig rig({.max_sequences = 1});
  const RequestId first = rig.Add(SomePrompt(4, 1), 3);
  const RequestId second = rig.Add(SomePrompt(4, 2), 3);
  const RequestId third = rig.Add(SomePrompt(4, 3), 3);
  rig.Step();
  rig.Signal(second, RequestControl::Signal::kCancel);
  rig.RunToEnd();
  EXPECT_EQ(rig.start_order, (std::vector<RequestId>{first, third}));
  EXPECT_EQ(rig.end(second).state, RequestState::kCancelled);
  EXPECT_EQ(rig.outcome(second).starts, 0);
}

// A sequence moves from slot 2 into the gap at slot 1, or stays.
struct MoveCase {
  bool prefers_dense;
  bool can_copy;
  int remaining;  // tokens that it still has to generate when the gap opens
  bool moves;
};

TEST(SchedulerTest, ASequenceMovesIntoAGapOnlyWhereThatPays) {
  for (const auto& [prefers_dense, can_copy, remaining, moves] :
       {MoveCase{true, true, 16, true}, {true, true, 15, false}, {false, true, 99, false}, {true, false, 99, false}}) {
    const FakeEngineOptions options{.prefers_dense_slots = prefers_dense};
    EngineCapabilities capabilities = FakeEngine(options).capabilities();
    capabilities.can_copy_sequences = can_copy;
    SchedulerRig rig(options, {}, capabilities);
    rig.Add(SomePrompt(4, 3), 200);
    rig.Add(SomePrompt(4, 1), 2);
    const RequestId last = rig.Add(SomePrompt(6, 2), 2 + remaining);
    rig.Step();
    rig.Step();  // slot 1 is free, and the last one has 2 tokens
    const StepPlan plan = rig.Step();
    std::vector<KvOperation> expected{{.kind = KvOperation::Kind::kDrop, .slot = 1}};
    if (moves) expected.push_back({.kind = KvOperation::Kind::kMove, .slot = 2, .target_slot = 1});
    EXPECT_EQ(plan.operations, expected) << "remaining " << remaining;
    ASSERT_EQ(plan.sequences.size(), 2U);
    EXPECT_EQ(plan.sequences[1].slot, moves ? 1 : 2);
    EXPECT_TRUE(rig.Step().operations.empty());
    rig.RunToEnd();
    EXPECT_EQ(rig.tokens(last), FakeAnswer(SomePrompt(6, 2), 2 + remaining));
  }
}

TEST(SchedulerTest, SlotsWithoutAGapStay) {
  SchedulerRig rig({.prefers_dense_slots = true});
  rig.Add(SomePrompt(4, 1), 60);
  rig.Add(SomePrompt(4, 2), 60);
  const RequestId last = rig.Add(SomePrompt(4, 3), 60);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(rig.Step().operations.empty());
  rig.Signal(last, RequestControl::Signal::kCancel);
  EXPECT_EQ(rig.Step().operations, (std::vector<KvOperation>{{.kind = KvOperation::Kind::kDrop, .slot = 2}}))
      << "the free slots are all behind those in use";
  rig.RunToEnd();
}

TEST(SchedulerTest, TheHighestSlotMovesIntoTheLowestGap) {
  SchedulerRig rig({.max_sequences = 5, .prefers_dense_slots = true});
  std::vector<RequestId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(rig.Add(SomePrompt(4, i), 60));
  rig.Step();
  rig.Signal(ids[1], RequestControl::Signal::kCancel);
  rig.Signal(ids[2], RequestControl::Signal::kCancel);
  using Kind = KvOperation::Kind;
  EXPECT_EQ(rig.Step().operations,
            (std::vector<KvOperation>{
                {.kind = Kind::kDrop, .slot = 1}, {.kind = Kind::kDrop, .slot = 2}, {.kind = Kind::kMove, .slot = 4, .target_slot = 1}}));
  EXPECT_EQ(rig.Step().operations, (std::vector<KvOperation>{{.kind = Kind::kMove, .slot = 3, .target_slot = 2}}));
  EXPECT_TRUE(rig.Step().operations.empty());
  rig.RunToEnd();
  for (const int i : {0, 3, 4}) EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(SomePrompt(4, i), 60));
}

TEST(SchedulerTest, ASequenceWithoutKvChangesItsSlotForNothing) {
  SchedulerRig rig({.max_step_tokens = 4, .prefers_dense_slots = true});
  rig.Add(SomePrompt(1, 1), 60);
  const RequestId second = rig.Add(SomePrompt(9, 2), 60);
  rig.Add(SomePrompt(9, 3), 60);
  rig.Step();  // slot 2 has nothing yet
  rig.Signal(second, RequestControl::Signal::kCancel);
  const StepPlan plan = rig.Step();
  EXPECT_EQ(plan.operations, (std::vector<KvOperation>{{.kind = KvOperation::Kind::kDrop, .slot = 1}}));
  EXPECT_EQ(rig.Step().sequences.back().slot, 1);
  rig.RunToEnd();
}

// The engine takes neighbours together only in the order of their slots.
TEST(SchedulerTest, DenseDecodesStandInTheOrderOfTheirSlots) {
  SchedulerRig rig({.max_sequences = 4, .prefers_dense_slots = true});
  for (int i = 0; i < 3; ++i) rig.Add(SomePrompt(4, i), i == 0 ? 2 : 60);
  rig.Step();
  rig.Step();
  rig.Add(SomePrompt(4, 9), 60);  // starts in the slot that the first one left
  rig.Step();
  const StepPlan plan = rig.Step();
  ASSERT_EQ(plan.sequences.size(), 3U);
  for (int i = 1; i < 3; ++i) EXPECT_EQ(plan.sequences[i].slot, plan.sequences[i - 1].slot + 1);
  rig.RunToEnd();
}

TEST(SchedulerTest, AnswersAreTheSameWhileSlotsMove) {
  SchedulerRig rig({.max_sequences = 6, .max_step_tokens = 12, .prefers_dense_slots = true});
  std::vector<std::pair<RequestId, std::vector<TokenId>>> expected;
  int moves = 0;
  for (int i = 0; i < 60; ++i) {
    const auto prompt = SomePrompt(1 + (i * 5) % 17, i);
    const int most = i % 2 == 0 ? 3 : 40;
    expected.emplace_back(rig.Add(prompt, most), FakeAnswer(prompt, most));
    for (int step = 0; step < 4; ++step) {
      for (const KvOperation& operation : rig.Step().operations) moves += operation.kind == KvOperation::Kind::kMove;
    }
  }
  rig.RunToEnd();
  EXPECT_GT(moves, 5);
  for (const auto& [id, answer] : expected) EXPECT_EQ(rig.tokens(id), answer) << "request " << id;
}

}  // namespace
}  // namespace cllm
