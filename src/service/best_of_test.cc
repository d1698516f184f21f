#include "service/best_of.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "service/testing_toys.h"

namespace cllm {
namespace {

TextDelta Piece(int choice, std::string text, float logprob) {
  TextDelta delta{.text = std::move(text), .tokens = {}, .choice = choice};
  delta.tokens.push_back({.bytes = delta.text, .token = {.token = 1, .logprob = logprob, .top = {}}, .top_bytes = {}});
  return delta;
}

GenerationEnd EndOf(const std::vector<FinishReason>& reasons) {
  GenerationEnd end;
  for (const FinishReason reason : reasons) end.each.push_back({.status = {}, .reason = reason});
  end.generated_tokens = 9;
  return end;
}

TEST(BestOfTest, TheLikeliestAnswersOfEachPromptArePassedOn) {
  const auto sink = std::make_shared<RememberingSink>();
  BestOfSink best(2, 3, sink);
  best.OnStart({.is_cached = false, .prefix_tokens = 4});
  EXPECT_EQ(sink->start().prefix_tokens, 4);
  best.OnText(Piece(0, "a", -3));
  best.OnText(Piece(1, "b", -1));
  best.OnText(Piece(1, "B", -2));
  best.OnText(Piece(2, "c", -1));
  best.OnText(Piece(3, "d", -1));
  best.OnText(Piece(5, "f", -0.5));
  EXPECT_TRUE(sink->deltas().empty()) << "who is best is known at the end";
  best.OnEnd(EndOf(
      {FinishReason::kStop, FinishReason::kLength, FinishReason::kStop, FinishReason::kStop, FinishReason::kStop, FinishReason::kLength}));
  const std::vector<TextDelta> answers = sink->deltas();
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].text, "c") << "the mean counts, not the sum";
  EXPECT_EQ(answers[1].text, "bB");
  EXPECT_EQ(answers[2].text, "f");
  EXPECT_EQ(answers[3].text, "d") << "one without tokens is the least likely";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)].choice, i);
  const GenerationEnd end = sink->WaitForEnd();
  EXPECT_EQ(ReasonsOf(end),
            (std::vector<FinishReason>{FinishReason::kStop, FinishReason::kLength, FinishReason::kLength, FinishReason::kStop}));
  EXPECT_EQ(end.reason, FinishReason::kStop);
  EXPECT_EQ(end.generated_tokens, 9) << "all were computed";
}

TEST(BestOfTest, AnErrorEndsAll) {
  const auto sink = std::make_shared<RememberingSink>();
  BestOfSink best(1, 2, sink);
  best.OnText(Piece(0, "a", -1));
  GenerationEnd end = EndOf({FinishReason::kStop, FinishReason::kStop});
  end.status = Fail(ErrorCode::kTimedOut, "too late");
  best.OnEnd(end);
  EXPECT_TRUE(sink->deltas().empty());
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kTimedOut);
}

}  // namespace
}  // namespace cllm
