#include "service/choices.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

GenerateRequest AskFor(std::string prompt, int max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.sampling.temperature = 50;  // the toy's best token has a logit of 10, all others -10
  request.sampling.top_k = 0;
  request.sampling.top_p = 1;
  request.sampling.min_p = 0;
  request.seed = 7;
  return request;
}

class ChoicesTest : public testing::Test {
 protected:
  explicit ChoicesTest(SchedulerOptions options = {}) : options_(options) {}
  ~ChoicesTest() override { gate_.Open(); }

  void Start(bool held = false, TokenId poison = -1) {
    if (!held) gate_.Open();
    FakeEngineOptions engine;
    engine.max_sequences = 2;
    engine.on_step = gate_.Hook();
    engine.poison_token = poison;
    engine_ = std::make_unique<FakeEngine>(engine);
    service_ = std::make_unique<Service>(model_, *engine_, options_, [] {});
  }

  std::shared_ptr<RememberingSink> Submit(std::vector<ChoiceOfRequest> answers) {
    auto sink = std::make_shared<RememberingSink>();
    const auto control = SubmitChoices(*service_, std::move(answers), sink);
    EXPECT_TRUE(control) << (control ? "" : control.error().message);
    if (control) control_ = *control;
    return sink;
  }

  // The texts by choice, after the end.
  static std::map<int, std::string> Texts(RememberingSink& sink) {
    EXPECT_TRUE(sink.WaitForEnd().status);
    std::map<int, std::string> texts;
    for (const TextDelta& delta : sink.deltas()) texts[delta.choice] += delta.text;
    return texts;
  }

  bool BecomesIdle() { return service_->WaitUntilIdle(std::chrono::steady_clock::now() + std::chrono::minutes(5)); }

  SchedulerOptions options_;
  ToyTextModel model_;
  StepGate gate_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<Service> service_;
  std::shared_ptr<RequestControl> control_;
};

TEST_F(ChoicesTest, EachDrawsItsOwnAndTheFirstIsTheOneThatStandsAlone) {
  Start();
  const auto alone = Submit(MakeChoices(AskFor("hello", 20), {}, 1));
  alone->WaitForEnd();
  const auto sink = Submit(MakeChoices(AskFor("hello", 20), {}, 3));
  const auto texts = Texts(*sink);
  ASSERT_EQ(texts.size(), 3U);
  EXPECT_EQ(texts.at(0), alone->text());
  EXPECT_NE(texts.at(1), texts.at(0));
  EXPECT_NE(texts.at(2), texts.at(0));
  EXPECT_NE(texts.at(2), texts.at(1));
  EXPECT_EQ(Texts(*Submit(MakeChoices(AskFor("hello", 20), {}, 3))), texts) << "a seed gives the same answers again";
}

TEST_F(ChoicesTest, SeveralPromptsAreAnsweredInTheirOrder) {
  Start();
  GenerateRequest request = AskFor("one", 12);
  const auto sink = Submit(MakeChoices(request, {std::string("two"), std::vector<TokenId>{'3', '!' + 1}}, 2));
  const auto texts = Texts(*sink);
  ASSERT_EQ(texts.size(), 6U);
  request.prompt = std::string("two");
  const auto alone = Submit(MakeChoices(request, {}, 1));
  alone->WaitForEnd();
  EXPECT_EQ(texts.at(2), alone->text());
}

TEST_F(ChoicesTest, TheEndSumsUpAndCountsAPromptOnce) {
  Start();
  const auto sink = Submit(MakeChoices(AskFor("hello", 5), {std::string("you")}, 3));
  const GenerationEnd end = sink->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(end.prompt_tokens, 5 + 3);
  EXPECT_EQ(end.generated_tokens, 6 * 5);
  EXPECT_EQ(ReasonsOf(end), std::vector<FinishReason>(6, FinishReason::kLength));
  EXPECT_EQ(end.seed, 7U);
  constexpr double kRounding_s = 1e-9;
  EXPECT_GE(end.response_time_s + kRounding_s, end.first_token_time_s + end.generation_time_s);
  EXPECT_EQ(sink->ends(), 1);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(ChoicesTest, WithoutASeedOneIsDrawnForAll) {
  GenerateRequest request = AskFor("a", 1);
  request.seed.reset();
  const auto answers = MakeChoices(request, {std::string("b")}, 2);
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].request, answers[1].request) << "answers to one prompt share all that they have in common";
  const GenerateRequest& first = answers[0].request->fields();
  const GenerateRequest& further = answers[2].request->fields();
  EXPECT_TRUE(first.seed);
  EXPECT_EQ(first.seed, further.seed);
  EXPECT_TRUE(first.seed_is_drawn && further.seed_is_drawn);
  EXPECT_EQ(std::get<std::string>(first.prompt), "a");
  EXPECT_EQ(std::get<std::string>(further.prompt), "b");
  EXPECT_FALSE(MakeChoices(request, {}, 1).at(0).request->fields().seed) << "one alone is left to the service";
}

TEST_F(ChoicesTest, OneFailureIsTheEndOfAll) {
  Start(/*held=*/false, /*poison=*/'!');
  const auto sink = Submit(MakeChoices(AskFor("good", 200), {std::string("b!d")}, 1));
  const GenerationEnd end = sink->WaitForEnd();
  ASSERT_FALSE(end.status);
  EXPECT_EQ(end.status.error().message, "poisoned token");
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(sink->ends(), 1);
  EXPECT_FALSE(sink->text_after_end());
}

TEST_F(ChoicesTest, ACancelEndsAll) {
  Start(/*held=*/true);
  const auto sink = Submit(MakeChoices(AskFor("hello", 200), {}, 4));
  control_->Send(RequestControl::Signal::kCancel);
  gate_.Open();
  const GenerationEnd end = sink->WaitForEnd();
  ASSERT_FALSE(end.status);
  EXPECT_EQ(end.status.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(ChoicesTest, AStopStringEndsOnlyItsOwnAnswer) {
  Start();
  GenerateRequest request = AskFor("hello", 30);
  const auto texts = Texts(*Submit(MakeChoices(request, {}, 2)));
  // A character of the second answer that the first one doesn't have.
  const auto only =
      std::ranges::find_if(texts.at(1), [&](char c) { return static_cast<unsigned char>(c) < 0x80 && !texts.at(0).contains(c); });
  ASSERT_NE(only, texts.at(1).end());
  request.stop = {std::string(1, *only)};
  const auto sink = Submit(MakeChoices(request, {}, 2));
  const auto stopped = Texts(*sink);
  EXPECT_EQ(stopped.at(0), texts.at(0));
  EXPECT_EQ(ReasonsOf(sink->WaitForEnd()), (std::vector<FinishReason>{FinishReason::kLength, FinishReason::kStop}));
}

class CrowdedChoicesTest : public ChoicesTest {
 protected:
  CrowdedChoicesTest() : ChoicesTest({.max_queue_size = 1}) {}
};

TEST_F(CrowdedChoicesTest, WhereOneIsRefusedNoneIsAccepted) {
  Start(/*held=*/true);
  const auto sink = std::make_shared<RememberingSink>();
  const auto control = SubmitChoices(*service_, MakeChoices(AskFor("hello", 5), {}, 4), sink);
  ASSERT_FALSE(control);
  EXPECT_EQ(control.error().code, ErrorCode::kQueueFull);
  gate_.Open();
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(sink->ends(), 0) << "who was refused hears it once";
  EXPECT_EQ(sink->text(), "");
}

}  // namespace
}  // namespace cllm
