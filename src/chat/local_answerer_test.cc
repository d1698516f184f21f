#include "chat/local_answerer.h"

#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
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
  FakeEngine engine_{[] {
    FakeEngineOptions options;
    options.max_context = 4096;
    return options;
  }()};
  Service service_{model_, engine_, SchedulerOptions(), [] {}};
  LocalAnswerer answerer_{"toy", service_, **interrupts_};
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
  on_text_ = []() -> Status {
    kill(getpid(), SIGINT);
    return {};
  };
  std::string question = "q";
  // The toy may end an answer at once; not every one.
  auto summary = Ask(question);
  while (summary && !summary->interrupted) {
    (*interrupts_)->Take();
    summary = Ask(question += "q");
  }
  ASSERT_TRUE(summary);
  EXPECT_TRUE(summary->interrupted);
  EXPECT_FALSE(text_.empty());
  on_text_ = nullptr;
  (*interrupts_)->Take();
  ASSERT_TRUE(settings_.Set("max_tokens", "3"));
  EXPECT_TRUE(Ask("next"));
  EXPECT_TRUE(BecomesIdle()) << "the stopped request is still there";
}

TEST_F(LocalAnswererTest, AReceiverThatFailsEndsTheAnswer) {
  on_text_ = []() -> Status { return InvalidArgument("full"); };
  const auto summary = Ask("hello");
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().message, "full");
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(LocalAnswererTest, WhatDoesNotFitIsAnErrorAboutTheContext) {
  const auto summary = Ask(std::string(5000, 'x'));
  ASSERT_FALSE(summary);
  EXPECT_TRUE(IsContextError(summary.error())) << summary.error().message;
  EXPECT_NE(answerer_.LongerContextAdvice().find("-c 8192"), std::string::npos);
}

}  // namespace
}  // namespace cllm
