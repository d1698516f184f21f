// Prompts whose tokens are scored, from text to text.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/choices.h"
#include "service/service.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

GenerateRequest Scored(Prompt prompt, int max_tokens, int alternatives) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.prompt_logprobs = alternatives;
  request.sampling.temperature = 0;
  request.ignore_eos = true;
  return request;
}

class ServiceScoringTest : public testing::Test {
 protected:
  void Start(FakeEngineOptions engine = {}, const ResultCacheOptions& cache = {}) {
    engine_ = std::make_unique<FakeEngine>(std::move(engine));
    service_ = std::make_unique<Service>(model_, *engine_, SchedulerOptions{}, [] {}, 0, cache);
  }

  std::shared_ptr<RememberingSink> Submit(GenerateRequest request) {
    auto sink = std::make_shared<RememberingSink>();
    EXPECT_TRUE(service_->Submit(std::move(request), sink));
    return sink;
  }

  static std::vector<PromptToken> ScoresOf(const RememberingSink& sink) {
    TextDelta all;
    for (TextDelta& delta : sink.deltas()) all.Append(std::move(delta));
    return all.prompt;
  }

  ToyTextModel model_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceScoringTest, TheEchoComesWithTheScoresBeforeTheAnswer) {
  Start();
  GenerateRequest request = Scored("hello", 3, 2);
  request.echo = true;
  request.sampling.top_logprobs = 0;
  const auto sink = Submit(request);
  const GenerationEnd end = sink->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(end.generated_tokens, 3);
  const std::vector<TextDelta> deltas = sink->deltas();
  EXPECT_EQ(deltas.front().text, "hello");
  ASSERT_EQ(deltas.front().prompt.size(), 5U);
  EXPECT_TRUE(deltas.front().tokens.empty());
  EXPECT_EQ(deltas.front().counts.generated, 0);
  for (std::size_t i = 1; i < deltas.size(); ++i) EXPECT_TRUE(deltas[i].prompt.empty());
  EXPECT_EQ(sink->tokens().size(), 3U);
  const std::vector<PromptToken> scores = ScoresOf(*sink);
  EXPECT_EQ(scores[0].text.bytes, "h");
  EXPECT_EQ(scores[0].rank, 0);
  EXPECT_TRUE(scores[0].text.token.top.empty());
  EXPECT_EQ(scores[4].text.bytes, "o");
  EXPECT_GT(scores[4].rank, 0);
  ASSERT_EQ(scores[4].text.top_bytes.size(), 2U);
  EXPECT_EQ(scores[4].text.token.top[0].token, FakeEngine::NextToken(std::vector<TokenId>{'h', 'e', 'l', 'l'}, 256));
}

TEST_F(ServiceScoringTest, APromptAloneHasNoAnswer) {
  Start();
  for (const bool echo : {false, true}) {
    GenerateRequest request = Scored("hello", 0, 0);
    request.echo = echo;
    const auto sink = Submit(request);
    const GenerationEnd end = sink->WaitForEnd();
    EXPECT_TRUE(end.status);
    EXPECT_EQ(end.reason, FinishReason::kLength);
    EXPECT_EQ(end.generated_tokens, 0);
    EXPECT_EQ(end.prompt_tokens, 5);
    EXPECT_EQ(sink->text(), echo ? "hello" : "");
    EXPECT_EQ(ScoresOf(*sink).size(), 5U);
  }
  GenerateRequest nothing = Scored("hello", 0, 0);
  nothing.prompt_logprobs.reset();
  const auto sink = Submit(nothing);
  EXPECT_EQ(sink->WaitForEnd().reason, FinishReason::kLength);
  EXPECT_TRUE(sink->deltas().empty());
}

TEST_F(ServiceScoringTest, APromptWithoutAnswerMayFillTheContext) {
  Start({.max_context = 20});
  EXPECT_TRUE(Submit(Scored(std::string(20, 'x'), 0, 0))->WaitForEnd().status);
  EXPECT_EQ(Submit(Scored(std::string(21, 'x'), 0, 0))->WaitForEnd().status.error().code, ErrorCode::kContextLength);
  EXPECT_EQ(Submit(Scored(std::string(20, 'x'), 1, 0))->WaitForEnd().status.error().code, ErrorCode::kContextLength);
}

TEST_F(ServiceScoringTest, ManyScoresComeInPiecesThatDependOnTheRequestAlone) {
  Start({.vocab_size = 256, .max_step_tokens = 64, .max_logit_rows = 50, .max_context = 1000});
  GenerateRequest request = Scored(std::string(500, 'x'), 1, 20);
  request.echo = true;
  const auto sink = Submit(request);
  EXPECT_TRUE(sink->WaitForEnd().status);
  std::vector<std::size_t> pieces;
  for (const TextDelta& delta : sink->deltas()) {
    if (!delta.prompt.empty()) pieces.push_back(delta.prompt.size());
  }
  EXPECT_EQ(pieces, (std::vector<std::size_t>{195, 195, 110}));
  EXPECT_EQ(sink->deltas().front().text, std::string(500, 'x'));
}

TEST_F(ServiceScoringTest, ARepeatComesFromTheResultCacheWithItsScores) {
  Start({}, {.max_memory_mb = 1});
  GenerateRequest request = Scored("hello", 2, 1);
  request.echo = true;
  request.shows_stop_token = true;
  request.sampling.top_logprobs = 1;
  request.ignore_eos = false;
  request.stop_tokens = {FakeEngine::NextToken(std::vector<TokenId>{'h', 'e', 'l', 'l', 'o'}, 256)};
  const auto once = Submit(request);
  once->WaitForEnd();
  const auto again = Submit(request);
  EXPECT_EQ(again->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_TRUE(again->start().is_cached);
  for (const auto& sink : {once, again}) {
    EXPECT_EQ(sink->text(), "hello");
    EXPECT_EQ(ScoresOf(*sink).size(), 5U);
    ASSERT_EQ(sink->tokens().size(), 1U) << "the token that ended it";
    EXPECT_FALSE(sink->tokens()[0].in_text);
    EXPECT_EQ(sink->tokens()[0].token.top.size(), 1U);
  }
  request.prompt_logprobs = 2;
  const auto other = Submit(request);
  other->WaitForEnd();
  EXPECT_FALSE(other->start().is_cached) << "another number of alternatives is another request";
}

TEST_F(ServiceScoringTest, AnEngineWithoutRoomForLogitsScoresNothing) {
  Start({.max_logit_rows = 0});
  EXPECT_EQ(Submit(Scored("hello", 1, 0))->WaitForEnd().status.error().code, ErrorCode::kNotSupported);
}

TEST_F(ServiceScoringTest, EachOfSeveralPromptsHasItsScores) {
  Start();
  const auto sink = std::make_shared<RememberingSink>();
  std::vector<Prompt> further{std::vector<TokenId>{'w', 'o'}};
  ASSERT_TRUE(SubmitChoices(*service_, MakeChoices(Scored("hello", 1, 0), std::move(further), 2), sink));
  EXPECT_TRUE(sink->WaitForEnd().status);
  std::vector<std::size_t> scores(4, 0);
  for (const TextDelta& delta : sink->deltas()) scores[static_cast<std::size_t>(delta.choice)] += delta.prompt.size();
  EXPECT_EQ(scores, (std::vector<std::size_t>{5, 5, 2, 2}));
}

}  // namespace
}  // namespace cllm
