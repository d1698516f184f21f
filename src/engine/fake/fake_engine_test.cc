#include "engine/fake/fake_engine.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

StepResult Compute(FakeEngine& engine, const StepPlan& plan) {
  StepResult result;
  engine.Wait(engine.Submit(plan), result);
  return result;
}

TokenId Best(const SequenceResult& result) { return static_cast<TokenId>(std::ranges::max_element(result.logits) - result.logits.begin()); }

TEST(FakeEngineTest, TheNextTokenDependsOnTheWholeContextAndIsNeverZero) {
  const std::vector<TokenId> a{1, 2, 3};
  const std::vector<TokenId> b{2, 1, 3};
  EXPECT_EQ(FakeEngine::NextToken(a, 256), FakeEngine::NextToken(a, 256));
  EXPECT_NE(FakeEngine::NextToken(a, 256), FakeEngine::NextToken(b, 256));
  std::vector<TokenId> context;
  for (int i = 0; i < 2000; ++i) {
    context.push_back(i % 7);
    const TokenId next = FakeEngine::NextToken(context, 5);
    EXPECT_TRUE(next >= 1 && next <= 4);
  }
}

TEST(FakeEngineTest, ChunksOfAPromptGiveTheSameLogitsAsTheWhole) {
  FakeEngine engine({.max_sequences = 2});
  const std::vector<TokenId> prompt{5, 6, 7, 8};
  const StepResult whole = Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 4, RowOutput::kLogits}}, .tokens = prompt});
  ASSERT_EQ(whole.sequences[0].logits.size(), 256U);
  EXPECT_EQ(Best(whole.sequences[0]), FakeEngine::NextToken(prompt, 256));
  const StepResult first = Compute(engine, {.operations = {}, .sequences = {{1, 0, 0, 3, RowOutput::kNothing}}, .tokens = {5, 6, 7}});
  EXPECT_TRUE(first.sequences[0].status);
  EXPECT_TRUE(first.sequences[0].logits.empty());
  const StepResult rest = Compute(engine, {.operations = {}, .sequences = {{1, 3, 0, 1, RowOutput::kLogits}}, .tokens = {8}});
  EXPECT_EQ(Best(rest.sequences[0]), FakeEngine::NextToken(prompt, 256));
  EXPECT_EQ(engine.tokens_held(), 8);
  EXPECT_EQ(engine.steps(), 3);
}

TEST(FakeEngineTest, TheLastRowsOfAChunkGiveLogitsEachOfItsOwn) {
  FakeEngine engine({});
  Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 1, RowOutput::kNothing}}, .tokens = {5}});
  const StepResult result = Compute(
      engine,
      {.operations = {}, .sequences = {{.computed = 1, .rows = 3, .output = RowOutput::kLogits, .logit_rows = 2}}, .tokens = {6, 7, 8}});
  const std::span<const float> logits = result.sequences[0].logits;
  ASSERT_EQ(logits.size(), 2U * 256U);
  EXPECT_EQ(Best({.logits = logits.first(256), .status = {}}), FakeEngine::NextToken(std::vector<TokenId>{5, 6, 7}, 256));
  EXPECT_EQ(Best({.logits = logits.last(256), .status = {}}), FakeEngine::NextToken(std::vector<TokenId>{5, 6, 7, 8}, 256));
}

TEST(FakeEngineTest, DropAndMoveRunBeforeTheRows) {
  FakeEngine engine({.max_sequences = 3});
  Compute(engine,
          {.operations = {}, .sequences = {{0, 0, 0, 2, RowOutput::kLogits}, {2, 0, 2, 3, RowOutput::kLogits}}, .tokens = {1, 2, 3, 4, 5}});
  const StepResult result = Compute(engine, {.operations = {{KvOperation::Kind::kDrop, 0, 0}, {KvOperation::Kind::kMove, 2, 0}},
                                             .sequences = {{0, 3, 0, 1, RowOutput::kLogits}, {2, 0, 1, 1, RowOutput::kLogits}},
                                             .tokens = {6, 7}});
  EXPECT_EQ(Best(result.sequences[0]), FakeEngine::NextToken(std::vector<TokenId>{3, 4, 5, 6}, 256));
  EXPECT_EQ(Best(result.sequences[1]), FakeEngine::NextToken(std::vector<TokenId>{7}, 256));
  EXPECT_EQ(engine.tokens_held(), 5);
}

TEST(FakeEngineTest, AWrongPositionIsAnErrorOfThatSequence) {
  FakeEngine engine({});
  const StepResult result = Compute(
      engine, {.operations = {}, .sequences = {{0, 1, 0, 1, RowOutput::kLogits}, {1, 0, 1, 1, RowOutput::kLogits}}, .tokens = {1, 2}});
  EXPECT_FALSE(result.sequences[0].status);
  EXPECT_TRUE(result.sequences[1].status);
}

TEST(FakeEngineTest, PoisonAndTooLongAContextFail) {
  FakeEngine engine({.max_context = 3, .poison_token = 9});
  const StepResult result =
      Compute(engine, {.operations = {},
                       .sequences = {{0, 0, 0, 2, RowOutput::kLogits}, {1, 0, 2, 4, RowOutput::kLogits}, {2, 0, 6, 3, RowOutput::kLogits}},
                       .tokens = {1, 9, 1, 2, 3, 4, 1, 2, 3}});
  EXPECT_EQ(result.sequences[0].status.error().message, "poisoned token");
  EXPECT_FALSE(result.sequences[1].status);
  EXPECT_TRUE(result.sequences[2].status);
}

TEST(FakeEngineTest, AnEmbeddingIsOfTheWholeTextInPiecesOrNot) {
  FakeEngine engine({.max_sequences = 2, .embedding_size = 3});
  const std::vector<TokenId> text{5, 6, 7, 8};
  const std::vector<float> expected = FakeEngine::Embedding(text, 3);
  const StepResult whole = Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 4, RowOutput::kEmbedding}}, .tokens = text});
  EXPECT_TRUE(std::ranges::equal(whole.sequences[0].embedding, expected));
  EXPECT_TRUE(whole.sequences[0].logits.empty());
  const StepResult part = Compute(engine, {.operations = {}, .sequences = {{1, 0, 0, 3, RowOutput::kEmbeddingPart}}, .tokens = {5, 6, 7}});
  EXPECT_TRUE(part.sequences[0].embedding.empty());
  const StepResult rest = Compute(engine, {.operations = {}, .sequences = {{1, 3, 0, 1, RowOutput::kEmbedding}}, .tokens = {8}});
  EXPECT_TRUE(std::ranges::equal(rest.sequences[0].embedding, expected));
  EXPECT_NE(expected, FakeEngine::Embedding(std::vector<TokenId>{5, 6, 8, 7}, 3));
}

TEST(FakeEngineTest, APartThatWasComputedForSomethingElseIsMissing) {
  FakeEngine engine({.embedding_size = 3});
  Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 2, RowOutput::kNothing}}, .tokens = {1, 2}});
  const StepResult result = Compute(engine, {.operations = {}, .sequences = {{0, 2, 0, 1, RowOutput::kEmbedding}}, .tokens = {3}});
  EXPECT_FALSE(result.sequences[0].status);
}

TEST(FakeEngineTest, WhereTokensSeeAllOthersATextComesWhole) {
  FakeEngine engine({.embedding_size = 3, .embeds_whole = true});
  const StepResult part = Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 2, RowOutput::kEmbeddingPart}}, .tokens = {1, 2}});
  EXPECT_FALSE(part.sequences[0].status);
}

TEST(FakeEngineTest, OnStepSeesThePlan) {
  std::vector<TokenId> seen;
  FakeEngine engine({.on_step = [&](const StepPlan& plan) { seen = plan.tokens; }});
  Compute(engine, {.operations = {}, .sequences = {{0, 0, 0, 2, RowOutput::kLogits}}, .tokens = {4, 2}});
  EXPECT_EQ(seen, (std::vector<TokenId>{4, 2}));
}

}  // namespace
}  // namespace cllm
