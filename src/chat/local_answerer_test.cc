#include "chat/local_answerer.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr std::chrono::seconds kLongest(20);

class LocalAnswererTest : public testing::Test {
 protected:
  LocalAnswererTest() {
    EXPECT_TRUE(interrupts_);
    EXPECT_TRUE(settings_.Set("temperature", "0"));
  }

  ~LocalAnswererTest() override { gate_.Open(); }

  // From now on the engine waits for the gate. Only while it is idle.
  void Hold() {
    ASSERT_TRUE(service_.WaitUntilReady());
    hold_ = true;
  }

  // Whose answer has no end among its first tokens.
  static std::string QuestionWithALongAnswer() {
    constexpr int kLong = 100;
    for (std::string question = "q";; question += "q") {
      std::vector<TokenId> context(question.begin(), question.end());
      int length = 0;
      while (length < kLong && FakeEngine::NextToken(context, 256) != ToyTextModel::kEndToken) {
        context.push_back(FakeEngine::NextToken(context, 256));
        ++length;
      }
      if (length == kLong) return question;
    }
  }

  // Lets the held engine compute the question and stay in the step of the second token. Joined, it has come there.
  std::jthread HoldTheSecondToken() {
    return std::jthread([this] {
      gate_.WaitForStep();  // the question
      gate_.Release();
      gate_.WaitForStep();
    });
  }

  bool BecomesIdle() { return service_.WaitUntilIdle(std::chrono::steady_clock::now() + kLongest); }

  Result<AnswerSummary> Ask(const std::string& question) {
    text_.clear();
    return answerer_.Ask({{.role = "user", .content = question}}, settings_, [this](std::string_view text) -> Status {
      text_ += text;
      return on_text_ ? on_text_() : Status();
    });
  }

  Result<std::unique_ptr<Interrupts>> interrupts_ = Interrupts::Create();
  ToyTextModel model_;
  bool hold_ = false;
  std::atomic<int> steps_ = 0;
  StepGate gate_;
  FakeEngine engine_{[this] {
    FakeEngineOptions options;
    options.max_context = 4096;
    options.on_step = [this, hook = gate_.Hook()](const StepPlan& plan) {
      ++steps_;
      if (hold_) hook(plan);
    };
    return options;
  }()};
  Service service_{model_, engine_, SchedulerOptions(), [] {}};
  LocalAnswerer answerer_{"toy", service_, {}, **interrupts_};
  ChatSettings settings_;
  std::string text_;
  std::function<Status()> on_text_;
};

TEST_F(LocalAnswererTest, StreamsAnAnswer) {
  ASSERT_TRUE(settings_.Set("max_tokens", "12"));
  const auto summary = Ask("hello");
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_FALSE(summary->interrupted);
  EXPECT_EQ(summary->prompt_tokens, 5);
  EXPECT_EQ(summary->cut, *summary->generated_tokens == 12);
  EXPECT_FALSE(text_.empty());
  EXPECT_GE(summary->prompt_s, 0);
  const std::string first = text_;
  ASSERT_TRUE(Ask("hello"));
  EXPECT_EQ(text_, first);
  ASSERT_TRUE(Ask("other"));
  EXPECT_NE(text_, first);
}

TEST_F(LocalAnswererTest, AnInterruptStopsALongAnswerAndTheNextOneIsWhole) {
  Hold();
  std::jthread engine_side = HoldTheSecondToken();
  on_text_ = []() -> Status {
    kill(getpid(), SIGINT);
    return {};
  };
  const auto summary = Ask(QuestionWithALongAnswer());
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_TRUE(summary->interrupted);
  EXPECT_FALSE(text_.empty());
  engine_side.join();
  const int steps = steps_;
  gate_.Open();
  EXPECT_TRUE(BecomesIdle());
  EXPECT_LE(steps_, steps + 3) << "the engine goes on with an answer that was stopped";
  on_text_ = nullptr;
  ASSERT_TRUE(settings_.Set("max_tokens", "3"));
  ASSERT_TRUE(Ask(QuestionWithALongAnswer()));
}

TEST_F(LocalAnswererTest, DefaultsOfTheServerHoldWhereTheChatSaysNothing) {
  RequestDefaults defaults;
  defaults.max_tokens = 3;
  LocalAnswerer answerer("toy", service_, defaults, **interrupts_);
  const auto ask = [&] {
    return answerer.Ask({{.role = "user", .content = QuestionWithALongAnswer()}}, settings_, [](std::string_view) { return Status(); });
  };
  auto summary = ask();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->generated_tokens, 3);
  ASSERT_TRUE(settings_.Set("max_tokens", "5"));
  summary = ask();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->generated_tokens, 5);
}

TEST_F(LocalAnswererTest, SamplingDefaultsHoldUntilTheChatSaysSomethingElse) {
  const std::vector<ChatMessage> question{{.role = "user", .content = QuestionWithALongAnswer()}};
  RequestDefaults defaults;
  defaults.max_tokens = 100;
  defaults.sampling.temperature = 2;
  defaults.sampling.top_k = 0;
  defaults.sampling.top_p = 1;
  defaults.sampling.min_p = 0;
  LocalAnswerer warm("toy", service_, defaults, **interrupts_);
  ChatSettings settings;
  const auto ask = [&] {
    std::string text;
    const auto summary = warm.Ask(question, settings, [&](std::string_view more) -> Status {
      text += more;
      return {};
    });
    EXPECT_TRUE(summary) << summary.error().message;
    return text;
  };
  ASSERT_TRUE(settings_.Set("max_tokens", "100"));
  ASSERT_TRUE(Ask(question[0].content));
  const std::string greedy = text_;
  // The toy's best token has all but 1 % of the probability at temperature 2: among 2,000 others are drawn.
  int different = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    ASSERT_TRUE(settings.Set("seed", std::to_string(seed)));
    if (ask() != greedy) ++different;
  }
  EXPECT_GT(different, 0) << "the server's temperature holds";
  ASSERT_TRUE(settings.Set("temperature", "0"));
  EXPECT_EQ(ask(), greedy) << "the chat's own temperature wins";
}

TEST_F(LocalAnswererTest, AReceiverThatFailsEndsTheAnswer) {
  on_text_ = []() -> Status { return InvalidArgument("full"); };
  const auto summary = Ask("hello");
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().message, "full");
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(LocalAnswererTest, AReceiverThatFailsStopsTheEngine) {
  Hold();
  std::jthread engine_side = HoldTheSecondToken();
  on_text_ = []() -> Status { return InvalidArgument("full"); };
  EXPECT_FALSE(Ask(QuestionWithALongAnswer()));
  engine_side.join();
  const int steps = steps_;
  gate_.Open();
  EXPECT_TRUE(BecomesIdle());
  EXPECT_LE(steps_, steps + 3) << "the engine goes on with an answer that nobody takes";
}

TEST_F(LocalAnswererTest, TheTimesOfPromptAndAnswerAddUp) {
  constexpr std::chrono::milliseconds kPrompt(50);
  Hold();
  std::jthread engine_side([&] {
    gate_.WaitForStep();                   // the question
    std::this_thread::sleep_for(kPrompt);  // what is measured, not waited for
    gate_.Open();
  });
  ASSERT_TRUE(settings_.Set("max_tokens", "3"));
  const auto asked = std::chrono::steady_clock::now();
  const auto summary = Ask(QuestionWithALongAnswer());
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - asked;
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_GE(summary->prompt_s, std::chrono::duration<double>(kPrompt).count());
  EXPECT_LE(summary->prompt_s + summary->answer_s, whole.count());
}

TEST_F(LocalAnswererTest, WhatDoesNotFitIsAnErrorAboutTheContext) {
  const auto summary = Ask(std::string(5000, 'x'));
  ASSERT_FALSE(summary);
  EXPECT_TRUE(IsContextError(summary.error())) << summary.error().message;
  EXPECT_NE(answerer_.LongerContextAdvice().find("-c 8192"), std::string::npos);
}

}  // namespace
}  // namespace cllm
