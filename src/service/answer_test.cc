#include "service/answer.h"

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "service/testing_toys.h"

namespace cllm {
namespace {

using std::chrono::milliseconds;

// An answer whose tokens are the pieces of a list, numbered from 0.
class AnswerTest : public testing::Test {
 protected:
  void Start(const std::vector<std::string>& stop, bool wants_tokens = false, int min_tokens = 0) {
    answer_ = std::make_unique<Answer>(Answer::Settings{.stops = std::make_shared<const StopStrings>(stop),
                                                        .min_tokens = min_tokens,
                                                        .wants_tokens = wants_tokens,
                                                        .prompt_tokens = 7,
                                                        .seed = 42,
                                                        .accepted = now_},
                                       control_, sink_, metrics_);
  }

  void Add(const std::string& piece, std::vector<TokenLogprob> top = {}) {
    pieces_.push_back(piece);
    now_ += milliseconds(10);
    const auto token = static_cast<TokenId>(pieces_.size()) - 1;
    answer_->Add(
        {.token = token, .logprob = -0.5F * static_cast<float>(token), .top = std::move(top)},
        [this](TokenId id, bool) { return id < 1000 ? pieces_.at(id) : "top" + std::to_string(id); }, now_);
  }

  void End(RequestState state = RequestState::kFinished, FinishReason reason = FinishReason::kLength, Error error = {}) {
    answer_->End({.id = 1, .state = state, .reason = reason, .error = std::move(error)}, {}, now_);
  }

  std::vector<std::string> Deltas() const {
    std::vector<std::string> texts;
    for (const TextDelta& delta : sink_->deltas()) texts.push_back(delta.text);
    return texts;
  }
  std::vector<std::string> TokenBytes() const {
    std::vector<std::string> bytes;
    for (const TokenText& token : sink_->tokens()) bytes.push_back(token.bytes);
    return bytes;
  }
  using Texts = std::vector<std::string>;

  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  std::vector<std::string> pieces_;
  std::shared_ptr<RequestControl> control_ = std::make_shared<RequestControl>();
  std::shared_ptr<RememberingSink> sink_ = std::make_shared<RememberingSink>();
  RequestMetrics metrics_;
  std::unique_ptr<Answer> answer_;
};

TEST_F(AnswerTest, StopStringsAreSearchedForBehindTheMinTokens) {
  Start({"ab"}, false, 2);
  for (const char* piece : {"ab", "a", "b", "xa"}) Add(piece);
  EXPECT_FALSE(answer_->ended()) << "one lies in the first two tokens, one begins there";
  Add("b");
  EXPECT_TRUE(answer_->ended());
  EXPECT_EQ(sink_->text(), "ababx");
}

TEST_F(AnswerTest, TokensBecomeTextAtOnceAndTheEndSaysWhatItWas) {
  Start({});
  Add("Hel");
  Add("lo");
  EXPECT_EQ(Deltas(), (Texts{"Hel", "lo"}));
  EXPECT_EQ(sink_->ends(), 0);
  now_ += milliseconds(5);
  End();
  EXPECT_TRUE(answer_->ended());
  const GenerationEnd end = sink_->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.prompt_tokens, 7);
  EXPECT_EQ(end.generated_tokens, 2);
  EXPECT_EQ(end.seed, 42U);
  EXPECT_DOUBLE_EQ(end.response_time_s, 0.025);
  EXPECT_DOUBLE_EQ(end.generation_time_s, 0.010);
  EXPECT_EQ(control_->signal(), RequestControl::Signal::kNone);
}

TEST_F(AnswerTest, AnAnswerWithoutTokensJustEnds) {
  Start({"x"});
  End(RequestState::kFinished, FinishReason::kStop);
  EXPECT_TRUE(Deltas().empty());
  EXPECT_EQ(sink_->WaitForEnd().generated_tokens, 0);
  EXPECT_EQ(sink_->WaitForEnd().reason, FinishReason::kStop);
}

TEST_F(AnswerTest, ACharacterWaitsForItsLastByte) {
  Start({});
  Add("a\xE4");
  Add("\xBA");
  Add("\xBA\xF0\x9F");
  Add("\x98\x80");
  End();
  EXPECT_EQ(Deltas(), (Texts{"a", "人", "😀"}));
}

TEST_F(AnswerTest, AnUnfinishedCharacterAtTheEndIsReplaced) {
  Start({});
  Add("a");
  Add("\xE4\xBA");
  End();
  EXPECT_EQ(sink_->text(), "a\xEF\xBF\xBD");
}

TEST_F(AnswerTest, WhatMayBeginAStopWaitsAndComesWithTheEnd) {
  Start({"END"});
  Add("one E");
  Add("N");
  EXPECT_EQ(Deltas(), (Texts{"one "}));
  End();
  EXPECT_EQ(sink_->text(), "one EN");
  EXPECT_EQ(sink_->WaitForEnd().reason, FinishReason::kLength);
}

TEST_F(AnswerTest, AStopStringEndsTheAnswerOnce) {
  Start({"\n\n", "END"});
  Add("one E");
  Add("ND two");
  EXPECT_EQ(sink_->text(), "one ");
  EXPECT_EQ(sink_->ends(), 1);
  EXPECT_TRUE(answer_->ended());
  EXPECT_EQ(control_->signal(), RequestControl::Signal::kStop);
  Add(" three");
  End(RequestState::kFinished, FinishReason::kLength);
  End(RequestState::kFailed, FinishReason::kStop, {ErrorCode::kInternal, "late", {}});
  EXPECT_EQ(sink_->text(), "one ");
  EXPECT_EQ(sink_->ends(), 1);
  EXPECT_FALSE(sink_->text_after_end());
  const GenerationEnd end = sink_->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(end.reason, FinishReason::kStop);
  EXPECT_EQ(end.generated_tokens, 2) << "what the engine computed further is not a part of the answer";
}

TEST_F(AnswerTest, AStopStringAtTheVeryStartLeavesNoText) {
  Start({"ab"});
  Add("a");
  Add("b");
  EXPECT_TRUE(Deltas().empty());
  EXPECT_EQ(sink_->ends(), 1);
}

TEST_F(AnswerTest, AStopStringAcrossTheBytesOfACharacter) {
  Start({"人"});
  Add("x\xE4\xBA");
  EXPECT_EQ(sink_->text(), "x");
  Add("\xBA"
      "y");
  EXPECT_EQ(sink_->text(), "x");
  EXPECT_EQ(control_->signal(), RequestControl::Signal::kStop);
}

TEST_F(AnswerTest, ErrorsEndWithoutTheHeldText) {
  Start({"END"});
  Add("one E");
  End(RequestState::kFailed, FinishReason::kStop, {ErrorCode::kInternal, "broken", {}});
  EXPECT_EQ(sink_->text(), "one ");
  EXPECT_EQ(sink_->WaitForEnd().status.error(), (Error{ErrorCode::kInternal, "broken", {}}));
  EXPECT_EQ(sink_->WaitForEnd().generated_tokens, 1);
}

TEST_F(AnswerTest, TimedOutKeepsItsMessageAndCancelledHasOne) {
  Start({});
  End(RequestState::kTimedOut, FinishReason::kStop, {ErrorCode::kTimedOut, "too late", {}});
  EXPECT_EQ(sink_->WaitForEnd().status.error(), (Error{ErrorCode::kTimedOut, "too late", {}}));
  sink_ = std::make_shared<RememberingSink>();
  Start({});
  End(RequestState::kCancelled);
  EXPECT_EQ(sink_->WaitForEnd().status.error(), (Error{ErrorCode::kCancelled, "the request was cancelled", {}}));
}

TEST_F(AnswerTest, NoTokensUnlessAskedFor) {
  Start({}, /*wants_tokens=*/false);
  Add("a");
  End();
  EXPECT_TRUE(sink_->tokens().empty());
}

TEST_F(AnswerTest, TokensComeWithTheTextThatTheyBegin) {
  Start({}, /*wants_tokens=*/true);
  Add("a", {{1000, -0.1F}, {1001, -0.2F}});
  Add("\xE4\xBA");
  Add("\xBA"
      "b");
  Add("c");
  End();
  const std::vector<TextDelta> deltas = sink_->deltas();
  ASSERT_EQ(deltas.size(), 3U);
  EXPECT_EQ(deltas[0].tokens.size(), 1U);
  EXPECT_EQ(deltas[0].tokens[0].top_bytes, (Texts{"top1000", "top1001"}));
  EXPECT_EQ(deltas[0].tokens[0].token.top.size(), 2U);
  EXPECT_EQ(deltas[1].tokens.size(), 2U) << "both parts of the character";
  EXPECT_EQ(deltas[1].tokens[1].token.token, 2);
  EXPECT_FLOAT_EQ(deltas[1].tokens[1].token.logprob, -1.0F);
  EXPECT_EQ(deltas[2].tokens.size(), 1U);
  EXPECT_EQ(TokenBytes(), pieces_);
}

TEST_F(AnswerTest, TokensOfHeldTextWaitWithIt) {
  Start({"###"}, /*wants_tokens=*/true);
  Add("a");
  Add("#");
  Add("#");
  EXPECT_EQ(TokenBytes(), (Texts{"a"}));
  Add("b");
  EXPECT_EQ(Deltas(), (Texts{"a", "##b"}));
  EXPECT_EQ(TokenBytes(), pieces_);
}

TEST_F(AnswerTest, TokensOfAStopStringAreLeftOut) {
  Start({"###"}, /*wants_tokens=*/true);
  Add("a");
  Add("b#");
  Add("##");
  EXPECT_EQ(sink_->text(), "ab");
  EXPECT_EQ(TokenBytes(), (Texts{"a", "b#"})) << "a token that has text in the answer stays";
}

TEST_F(AnswerTest, TokensOfAnUnfinishedCharacterComeWithTheEnd) {
  Start({}, /*wants_tokens=*/true);
  Add("a");
  Add("\xE4");
  Add("\xBA");
  End();
  EXPECT_EQ(TokenBytes(), pieces_);
}

// A control token, say. Each generated token that is counted has its log-probability.
TEST_F(AnswerTest, ATokenWithoutTextIsNotLost) {
  Start({}, /*wants_tokens=*/true);
  Add("a");
  Add("");
  Add("b");
  EXPECT_EQ(TokenBytes(), (Texts{"a", "", "b"}));
  Add("");
  End();
  EXPECT_EQ(sink_->text(), "ab");
  EXPECT_EQ(TokenBytes(), (Texts{"a", "", "b", ""}));
}

TEST_F(AnswerTest, ItsTimesAreMeasured) {
  Start({});
  answer_->Start(now_ += milliseconds(3), 5);
  Add("a");
  Add("b");
  Add("c");
  End();
  EXPECT_EQ(sink_->start().prefix_tokens, 5);
  EXPECT_EQ(sink_->WaitForEnd().cached_tokens, 5);
  EXPECT_EQ(metrics_.ended(RequestOutcome::kFinished), 1);
  EXPECT_DOUBLE_EQ(metrics_.queue_seconds.Read().sum, 0.003);
  EXPECT_DOUBLE_EQ(metrics_.first_token_seconds.Read().sum, 0.013);
  EXPECT_EQ(metrics_.inter_token_seconds.Read().count(), 2);
  EXPECT_DOUBLE_EQ(metrics_.inter_token_seconds.Read().sum, 0.02);
  EXPECT_DOUBLE_EQ(metrics_.response_seconds.Read().sum, 0.033);
  EXPECT_DOUBLE_EQ(metrics_.prompt_tokens.Read().sum, 7);
  EXPECT_DOUBLE_EQ(metrics_.generated_tokens.Read().sum, 3);
}

TEST_F(AnswerTest, TimesSoFarAndTheProgressOfThePromptComeWithThePieces) {
  answer_ = std::make_unique<Answer>(Answer::Settings{.wants_prompt_progress = true, .prompt_tokens = 7, .accepted = now_}, control_, sink_,
                                     metrics_);
  answer_->Start(now_ += milliseconds(3), 2);
  answer_->AddPrompt(5, now_ += milliseconds(4));
  answer_->AddPrompt(5, now_);  // once more, after it gave way
  answer_->AddPrompt(7, now_ += milliseconds(4));
  Add("a");
  Add("b");
  End();
  const std::vector<TextDelta> deltas = sink_->deltas();
  ASSERT_EQ(deltas.size(), 5U);
  for (const auto& [at, computed, seconds] : {std::tuple(0U, 2, 0.0), std::tuple(1U, 5, 0.004), std::tuple(2U, 7, 0.008)}) {
    EXPECT_EQ(deltas[at].prompt_computed, computed);
    EXPECT_DOUBLE_EQ(deltas[at].times.prompt_s, seconds);
    EXPECT_EQ(deltas[at].counts.cached, 2);
    EXPECT_TRUE(deltas[at].empty());
  }
  EXPECT_FALSE(deltas[4].prompt_computed);
  EXPECT_DOUBLE_EQ(deltas[4].times.prompt_s, 0.018);
  EXPECT_DOUBLE_EQ(deltas[4].times.generation_s, 0.010);
  EXPECT_DOUBLE_EQ(sink_->WaitForEnd().times().prompt_s, 0.018);
}

TEST_F(AnswerTest, OnlyAFinishedAnswerCountsForTheTimeOfTheWhole) {
  Start({});
  Add("a");
  End(RequestState::kTimedOut, FinishReason::kStop, {ErrorCode::kTimedOut, "late", {}});
  EXPECT_EQ(metrics_.ended(RequestOutcome::kTimedOut), 1);
  EXPECT_EQ(metrics_.ended(RequestOutcome::kFinished), 0);
  EXPECT_EQ(metrics_.response_seconds.Read().count(), 0);
  EXPECT_EQ(metrics_.first_token_seconds.Read().count(), 1);
}

// Token 1 is a control token, "<x>".
TEST_F(AnswerTest, ControlTokensAreShownWhereTheyAreWantedAndInLogprobsAlways) {
  for (const bool show : {false, true}) {
    const auto sink = std::make_shared<RememberingSink>();
    Answer answer({.show_special_tokens = show, .wants_tokens = true, .accepted = now_}, control_, sink, metrics_);
    const auto piece = [](TokenId token, bool special) { return token != 1 ? std::string("a") : special ? "<x>" : ""; };
    answer.Add({.token = 0, .logprob = -1, .top = {{1, -2}}}, piece, now_);
    answer.Add({.token = 1, .logprob = -1, .top = {}}, piece, now_);
    answer.End({.id = 1, .state = RequestState::kFinished, .reason = FinishReason::kStop, .error = {}}, piece, now_);
    EXPECT_EQ(sink->text(), show ? "a<x>" : "a");
    ASSERT_EQ(sink->tokens().size(), 2U);
    EXPECT_EQ(sink->tokens()[0].top_bytes, Texts{"<x>"});
    EXPECT_EQ(sink->tokens()[1].bytes, "<x>");
    EXPECT_EQ(sink->tokens()[1].in_text, show);
  }
}

TEST_F(AnswerTest, AControlTokenOfThePromptIsOfItsTextWhereTheEchoShowsIt) {
  const auto piece = [](TokenId token, bool special) { return token != 1 ? std::string("a") : special ? "<x>" : ""; };
  for (const bool echoes : {false, true}) {
    const auto sink = std::make_shared<RememberingSink>();
    Answer answer({.echo = "a", .prompt_logprobs = 1, .echoes_controls = echoes, .prompt_tokens = 2, .accepted = now_}, control_, sink,
                  metrics_);
    answer.Start(now_, 0);
    EXPECT_TRUE(sink->deltas().empty()) << "the echo comes with the scores";
    answer.AddScores({{.token = 1}}, piece, now_);
    EXPECT_TRUE(sink->deltas().empty()) << "and these together";
    answer.AddScores({{.token = 0, .logprob = -2, .rank = 3, .top = {{1, -1}}}}, piece, now_);
    ASSERT_EQ(sink->deltas().size(), 1U);
    const std::vector<PromptToken> prompt = sink->deltas()[0].prompt;
    EXPECT_EQ(prompt[0].text.bytes, "<x>");
    EXPECT_EQ(prompt[0].text.in_text, echoes);
    EXPECT_EQ(prompt[0].rank, 0);
    EXPECT_EQ(prompt[1].text.top_bytes, Texts{"<x>"});
    EXPECT_EQ(prompt[1].rank, 3);
  }
}

TEST_F(AnswerTest, ScoresThatComeTooLateEndTheAnswer) {
  const auto sink = std::make_shared<RememberingSink>();
  Answer answer({.prompt_logprobs = 0, .prompt_tokens = 1, .accepted = now_, .deadline = now_}, control_, sink, metrics_);
  answer.AddScores({{.token = 1}}, [](TokenId, bool) { return "a"; }, now_ + milliseconds(1));
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(control_->signal(), RequestControl::Signal::kCancel);
}

TEST_F(AnswerTest, AStopStringMayBeAPartOfTheAnswer) {
  const auto sink = std::make_shared<RememberingSink>();
  Answer answer({.stops = std::make_shared<const StopStrings>(std::vector<std::string>{"bc"}), .include_stop = true, .accepted = now_},
                control_, sink, metrics_);
  const auto piece = [](TokenId token, bool) { return std::string(1, static_cast<char>(token)); };
  for (const char c : {'a', 'b', 'c', 'd'}) answer.Add({.token = c, .logprob = 0, .top = {}}, piece, now_);
  EXPECT_EQ(sink->text(), "abc");
  EXPECT_EQ(sink->WaitForEnd().reason, FinishReason::kStop);
}

TEST_F(AnswerTest, TheTimeOfAnAnswerEndsItBehindANewLine) {
  CachedResult kept;
  answer_ = std::make_unique<Answer>(Answer::Settings{.stops = std::make_shared<const StopStrings>(Texts{"cd"}),
                                                      .prompt = "the prompt",
                                                      .most_generation_s = 0.025,
                                                      .accepted = now_,
                                                      .keep = [&](CachedResult result) { kept = std::move(result); }},
                                     control_, sink_, metrics_);
  for (int i = 0; i < 5; ++i) Add("a");
  EXPECT_FALSE(answer_->ended()) << "no line has ended";
  Add("\nc");
  ASSERT_TRUE(answer_->ended());
  EXPECT_EQ(sink_->text(), "aaaaa\nc") << "what may have been a stop string is sent";
  EXPECT_EQ(control_->signal(), RequestControl::Signal::kStop);
  const GenerationEnd end = sink_->WaitForEnd();
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.prompt, "the prompt");
  EXPECT_TRUE(kept.tokens.empty()) << "another time it would be longer";
}

}  // namespace
}  // namespace cllm
