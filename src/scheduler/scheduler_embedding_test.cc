// Sequences whose embedding is wanted.
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

constexpr int kSize = 3;

// An engine whose tokens see all others of their text, and which generates nothing.
FakeEngineOptions Encoder(int max_sequences, int context, int step_tokens) {
  return {.max_sequences = max_sequences,
          .max_step_tokens = step_tokens,
          .max_context = context,
          .generates = false,
          .embedding_size = kSize,
          .embeds_whole = true};
}

void ExpectEmbedding(const SchedulerRig& rig, RequestId id, const std::vector<TokenId>& text) {
  ASSERT_EQ(rig.outcome(id).embeddings.size(), 1U) << "request " << id;
  EXPECT_EQ(rig.outcome(id).embeddings.front(), FakeEngine::Embedding(text, kSize)) << "request " << id;
  EXPECT_TRUE(rig.tokens(id).empty());
  EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
}

TEST(SchedulerEmbeddingTest, TextsFillAStepAndEndWithIt) {
  SchedulerRig rig(Encoder(4, 16, 16));
  const std::vector<RequestId> ids{rig.Embed(SomePrompt(5, 1)), rig.Embed(SomePrompt(6, 2)), rig.Embed(SomePrompt(4, 3))};
  EXPECT_EQ(rig.Step().sequences.size(), 3U);
  EXPECT_EQ(rig.scheduler.running(), 0);
  for (int i = 0; i < 3; ++i) ExpectEmbedding(rig, ids[i], SomePrompt(5 + (i == 1) - (i == 2), i + 1));
  rig.RunToEnd();
}

TEST(SchedulerEmbeddingTest, ATextThatComesWholeWaitsForAStepWithRoom) {
  SchedulerRig rig(Encoder(4, 16, 16));
  const RequestId first = rig.Embed(SomePrompt(10, 1)), second = rig.Embed(SomePrompt(10, 2));
  EXPECT_EQ(rig.Step().sequences.size(), 1U);
  EXPECT_TRUE(rig.ended(first));
  EXPECT_FALSE(rig.ended(second));
  rig.RunToEnd();
  ExpectEmbedding(rig, second, SomePrompt(10, 2));
}

TEST(SchedulerEmbeddingTest, OneTokenIsAText) {
  SchedulerRig rig(Encoder(2, 16, 16));
  const RequestId id = rig.Embed({7});
  rig.RunToEnd();
  ExpectEmbedding(rig, id, {7});
}

TEST(SchedulerEmbeddingTest, ALongTextComesInPiecesBesideAnswers) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 8, .max_context = 64, .embedding_size = kSize});
  const RequestId answer = rig.Add(SomePrompt(3, 1), 20);
  rig.Step();
  const RequestId text = rig.Embed(SomePrompt(30, 2));
  int parts = 0;
  while (!rig.ended(text)) {
    for (const SequenceWork& work : rig.Step().sequences) parts += work.output == RowOutput::kEmbeddingPart ? 1 : 0;
  }
  EXPECT_GE(parts, 3);
  ExpectEmbedding(rig, text, SomePrompt(30, 2));
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(answer), FakeAnswer(SomePrompt(3, 1), 20));
}

TEST(SchedulerEmbeddingTest, NothingIsTakenFromACacheOrLeftInIt) {
  SchedulerRig rig({.max_sequences = 4, .max_context = 64, .can_trim_sequences = true, .embedding_size = kSize});
  rig.Add(SomePrompt(20, 1), 2);
  rig.RunToEnd();
  const std::int64_t cached = rig.scheduler.cached_tokens();
  EXPECT_GT(cached, 0);
  const RequestId text = rig.Embed(SomePrompt(20, 1));
  rig.RunToEnd();
  ExpectEmbedding(rig, text, SomePrompt(20, 1));
  EXPECT_EQ(rig.outcome(text).cached_tokens, 0);
  EXPECT_EQ(rig.scheduler.cached_tokens(), cached);
}

TEST(SchedulerEmbeddingTest, ATextOfALeaderDoesNotWaitForIt) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 32, .max_context = 64, .can_trim_sequences = true, .embedding_size = kSize});
  rig.Add(SomePrompt(60, 1), 2);
  const RequestId text = rig.Embed(SomePrompt(60, 1));
  rig.RunToEnd();
  ExpectEmbedding(rig, text, SomePrompt(60, 1));
}

TEST(SchedulerEmbeddingTest, AFailureAndACancelEndOneTextOnly) {
  FakeEngineOptions options = Encoder(4, 16, 64);
  options.poison_token = 0;
  SchedulerRig rig(options);
  const RequestId bad = rig.Embed({3, 0, 4}), good = rig.Embed(SomePrompt(5, 1)), cancelled = rig.Embed(SomePrompt(5, 2));
  rig.Signal(cancelled, RequestControl::Signal::kCancel);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(bad).state, RequestState::kFailed);
  EXPECT_EQ(rig.end(cancelled).state, RequestState::kCancelled);
  EXPECT_TRUE(rig.outcome(bad).embeddings.empty());
  ExpectEmbedding(rig, good, SomePrompt(5, 1));
}

TEST(SchedulerEmbeddingTest, WhereBlocksRunOutATextGivesWayAndBeginsAnew) {
  SchedulerRig rig(
      {.max_sequences = 3, .max_step_tokens = 8, .max_context = 32, .embedding_size = kSize, .kv_block_tokens = 4, .kv_blocks = 9});
  const RequestId a = rig.Add(SomePrompt(6, 1), 20);
  rig.Step();
  const RequestId text = rig.Embed(SomePrompt(24, 3), [](SequenceRequest& request) { request.priority = -5; });
  rig.RunToEnd();
  ExpectEmbedding(rig, text, SomePrompt(24, 3));
  EXPECT_EQ(rig.tokens(a), FakeAnswer(SomePrompt(6, 1), 20));
}

TEST(SchedulerEmbeddingTest, TokensAreCountedApartFromThoseOfPrompts) {
  Scheduler scheduler({}, FakeEngine(Encoder(2, 16, 16)).capabilities());
  FakeEngine engine(Encoder(2, 16, 16));
  SequenceRequest request;
  request.prompt = SomePrompt(5, 1);
  request.embeds = true;
  scheduler.Submit(std::move(request));
  StepResult result;
  engine.Wait(engine.Submit(scheduler.Plan(TimePoint())), result);
  scheduler.Commit(result, TimePoint());
  StepEvents events;
  scheduler.TakeEvents(events);
  EXPECT_EQ(events.embedding_tokens, 5);
  EXPECT_EQ(events.prompt_tokens, 0);
}

}  // namespace
}  // namespace cllm
