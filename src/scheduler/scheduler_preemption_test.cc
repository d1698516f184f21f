// Blocks of one pool: what shares them, and what gives way where they run out.
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

FakeEngineOptions BlockEngine(int blocks, int sequences = 4) {
  FakeEngineOptions options;
  options.max_sequences = sequences;
  options.max_context = 64;
  options.kv_block_tokens = 4;
  options.kv_blocks = blocks;
  return options;
}

TEST(SchedulerPreemptionTest, WhoGivesWayAnswersAsIfUndisturbed) {
  SchedulerRig rig(BlockEngine(16));
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(rig.Add(SomePrompt(8, i), 24));  // four times eight blocks
  rig.RunToEnd();
  EXPECT_GT(rig.preemptions, 0);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(SomePrompt(8, i), 24)) << "request " << i;
    EXPECT_EQ(rig.end(ids[i]).state, RequestState::kFinished);
  }
}

TEST(SchedulerPreemptionTest, SampledAnswersAreTheSameAsWell) {
  const auto run = [](int blocks) {
    SchedulerRig rig(BlockEngine(blocks));
    std::vector<RequestId> ids;
    for (int i = 0; i < 4; ++i) {
      ids.push_back(rig.Add(SomePrompt(8, i), 24, [i](SequenceRequest& request) {
        request.sampling.temperature = 40;  // the toy's best token has a logit of 10, all others -10
        request.sampling.min_p = 0;
        request.sampling.top_p = 1;
        request.sampling.seed = static_cast<std::uint64_t>(i);
        request.sampling.repetition_penalty = 1.3;
      }));
    }
    rig.RunToEnd();
    std::vector<std::vector<TokenId>> answers;
    for (const RequestId id : ids) answers.push_back(rig.tokens(id));
    return std::pair(answers, rig.preemptions);
  };
  const auto [tight, preempted] = run(16);
  const auto [roomy, undisturbed] = run(64);
  EXPECT_GT(preempted, 0);
  EXPECT_EQ(undisturbed, 0);
  EXPECT_EQ(tight, roomy);
}

TEST(SchedulerPreemptionTest, TheLeastImportantGivesWay) {
  SchedulerRig rig(BlockEngine(16, 2));
  const RequestId low = rig.Add(SomePrompt(24, 1), 24, [](SequenceRequest& request) { request.priority = -1; });
  const RequestId high = rig.Add(SomePrompt(24, 2), 24);
  while (rig.preemptions == 0) rig.Step();
  EXPECT_EQ(rig.scheduler.running(), 1);
  while (!rig.ended(high)) rig.Step();
  EXPECT_EQ(rig.preemptions, 1) << "it comes back only when it can run to its end";
  EXPECT_FALSE(rig.ended(low));
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(low), FakeAnswer(SomePrompt(24, 1), 24));
  EXPECT_EQ(rig.outcome(low).starts, 1);
}

TEST(SchedulerPreemptionTest, WhatGaveWayWaitsForRoomToItsEnd) {
  SchedulerRig rig(BlockEngine(16, 3));
  const RequestId low = rig.Add(SomePrompt(16, 1), 40, [](SequenceRequest& request) { request.priority = -1; });
  const RequestId lasting = rig.Add(SomePrompt(24, 2), 40);
  const RequestId passing = rig.Add(SomePrompt(16, 3), 10);
  while (!rig.ended(passing)) rig.Step();
  EXPECT_EQ(rig.preemptions, 1);
  // Now there are blocks for what it knows, but the other one will need them.
  while (!rig.ended(lasting)) rig.Step();
  EXPECT_EQ(rig.preemptions, 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(low), FakeAnswer(SomePrompt(16, 1), 40));
}

TEST(SchedulerPreemptionTest, WhatGivesWayFindsItsBlocksAgain) {
  SchedulerRig rig(BlockEngine(16, 2));
  const RequestId low = rig.Add(SomePrompt(24, 1), 24, [](SequenceRequest& request) { request.priority = -1; });
  const RequestId high = rig.Add(SomePrompt(24, 2), 24);
  while (rig.preemptions == 0) rig.Step();
  // The other one took a block and ends at once: that block and the next token are computed again.
  rig.Signal(high, RequestControl::Signal::kCancel);
  EXPECT_EQ(rig.Step().tokens.size(), 4U + 1);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(low), FakeAnswer(SomePrompt(24, 1), 24));
}

TEST(SchedulerPreemptionTest, WhatWaitsToComeBackCanStillEnd) {
  for (const auto signal : {RequestControl::Signal::kCancel, RequestControl::Signal::kStop}) {
    SchedulerRig rig(BlockEngine(16, 2));
    const RequestId low = rig.Add(SomePrompt(24, 1), 24, [](SequenceRequest& request) { request.priority = -1; });
    rig.Add(SomePrompt(24, 2), 24);
    while (rig.preemptions == 0) rig.Step();
    rig.Signal(low, signal);
    rig.Step();
    ASSERT_TRUE(rig.ended(low));
    EXPECT_EQ(rig.end(low).state, signal == RequestControl::Signal::kStop ? RequestState::kFinished : RequestState::kCancelled);
    rig.RunToEnd();
  }
}

TEST(SchedulerPreemptionTest, TheTimeInTheQueueDoesNotCountForWhatHasRun) {
  SchedulerRig rig(BlockEngine(16, 2));
  const RequestId low = rig.Add(SomePrompt(24, 1), 24, [&](SequenceRequest& request) {
    request.priority = -1;
    request.start_by = rig.now + milliseconds(1);
    request.deadline = rig.now + milliseconds(100);
  });
  rig.Add(SomePrompt(24, 2), 24);
  while (rig.preemptions == 0) rig.Step();
  rig.now += milliseconds(50);
  rig.Step();
  EXPECT_FALSE(rig.ended(low));
  rig.now += milliseconds(51);
  rig.Step();
  EXPECT_EQ(rig.end(low).state, RequestState::kTimedOut);
  EXPECT_NE(rig.end(low).error.message.find("of at most 24 tokens"), std::string::npos) << rig.end(low).error.message;
  rig.RunToEnd();
}

TEST(SchedulerPreemptionTest, WhoRunsGetsTheLastBlockBeforeWhoComes) {
  SchedulerRig rig(BlockEngine(16, 4));
  const RequestId first = rig.Add(SomePrompt(55, 1), 9);  // 14 blocks, then 15 and 16
  const RequestId second = rig.Add(SomePrompt(3, 2), 1);
  rig.Step();
  while (rig.engine.tokens_held() < 60) rig.Step();  // the next token needs the sixteenth block
  const RequestId third = rig.Add(SomePrompt(4, 3), 1);
  rig.Step();
  EXPECT_EQ(rig.outcome(third).starts, 0);
  rig.RunToEnd();
  EXPECT_EQ(rig.preemptions, 0);
  for (const RequestId id : {first, second, third}) EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
}

TEST(SchedulerPreemptionTest, APromptWaitsUntilItsBlocksAreThere) {
  SchedulerRig rig(BlockEngine(16, 4));
  const RequestId first = rig.Add(SomePrompt(40, 1), 3);
  const RequestId second = rig.Add(SomePrompt(40, 2), 3);
  const RequestId small = rig.Add(SomePrompt(4, 3), 3);
  rig.Step();
  EXPECT_EQ(rig.start_order, (std::vector<RequestId>{first})) << "who is small does not pass who waits for room";
  rig.RunToEnd();
  EXPECT_EQ(rig.preemptions, 0);
  for (const RequestId id : {first, second, small}) EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
}

TEST(SchedulerPreemptionTest, ManyShareOnePrefixThatIsComputedOnce) {
  SchedulerRig rig(BlockEngine(64, 8));
  std::vector<TokenId> prefix = SomePrompt(32, 1);
  std::vector<RequestId> ids;
  std::vector<std::vector<TokenId>> prompts;
  for (int i = 0; i < 8; ++i) {
    prompts.push_back(prefix);
    prompts.back().push_back(210 + i);
    ids.push_back(rig.Add(prompts.back(), 6));
  }
  std::size_t rows = 0;
  while (rig.scheduler.HasWork()) rows += rig.Step().tokens.size();
  EXPECT_EQ(rows, 32U + 8 + 8 * 5) << "the prefix, the last tokens of the prompts, and all but the last ones of the answers";
  for (int i = 0; i < 8; ++i) EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(prompts[i], 6));
}

TEST(SchedulerPreemptionTest, OneTokenBlocksAndAPoolForOneSequenceWork) {
  FakeEngineOptions options = BlockEngine(64);
  options.kv_block_tokens = 1;
  SchedulerRig rig(options);
  std::vector<RequestId> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(rig.Add(SomePrompt(30, i), 34));
  rig.RunToEnd();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(SomePrompt(30, i), 34));
}

}  // namespace
}  // namespace cllm
