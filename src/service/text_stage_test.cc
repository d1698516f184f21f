#include "service/text_stage.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "service/testing_toys.h"

namespace cllm {
namespace {

class TextStageTest : public testing::Test {
 protected:
  TextStageTest() {
    stage_ = std::make_unique<TextStage>([](TokenId token, bool) { return std::string(1, static_cast<char>(token)); },
                                         [this] { ++steps_sent_; }, [this] { ++ended_; });
  }

  std::shared_ptr<RememberingSink> Register(RequestId id, const std::vector<std::string>& stop = {}) {
    auto sink = std::make_shared<RememberingSink>();
    auto control = std::make_shared<RequestControl>();
    stage_->Register(id, std::make_unique<Answer>(Answer::Settings{.stops = std::make_shared<const StopStrings>(stop), .accepted = {}},
                                                  control, sink, metrics_));
    return sink;
  }

  static TokenEvent Token(RequestId id, char c) { return {id, {.token = c, .logprob = 0, .top = {}}}; }
  static EndEvent End(RequestId id) { return {.id = id, .state = RequestState::kFinished, .reason = FinishReason::kLength, .error = {}}; }

  // Everything that was posted has been handled afterwards.
  void Finish() { stage_.reset(); }

  std::atomic<int> steps_sent_ = 0;
  std::atomic<int> ended_ = 0;
  RequestMetrics metrics_;
  std::unique_ptr<TextStage> stage_;
};

TEST_F(TextStageTest, EachAnswerGetsItsOwnTokensInOrder) {
  const auto one = Register(1);
  const auto two = Register(2);
  stage_->Post({.starts = {{.id = 1}, {.id = 2}}, .tokens = {Token(1, 'a'), Token(2, 'x')}, .ends = {}});
  stage_->Post({.starts = {}, .tokens = {Token(2, 'y'), Token(1, 'b')}, .ends = {End(2)}});
  stage_->Post({.starts = {}, .tokens = {Token(1, 'c')}, .ends = {End(1)}});
  Finish();
  EXPECT_EQ(one->text(), "abc");
  EXPECT_EQ(two->text(), "xy") << "a token of the step that ends an answer is a part of it";
  EXPECT_EQ(one->ends(), 1);
  EXPECT_EQ(two->ends(), 1);
  EXPECT_EQ(steps_sent_, 3) << "senders are woken once a step";
  EXPECT_EQ(ended_, 2);
}

TEST_F(TextStageTest, AnAnswerThatAStopStringEndedLeavesWithTheSchedulersEnd) {
  const auto sink = Register(1, {"b"});
  stage_->Post({.starts = {{.id = 1}}, .tokens = {Token(1, 'a')}, .ends = {}});
  stage_->Post({.starts = {}, .tokens = {Token(1, 'b')}, .ends = {}});
  sink->WaitForEnd();
  EXPECT_EQ(ended_, 0) << "it still has its place in the engine";
  stage_->Post({.starts = {}, .tokens = {Token(1, 'c')}, .ends = {}});
  stage_->Post({.starts = {}, .tokens = {}, .ends = {End(1)}});
  Finish();
  EXPECT_EQ(sink->text(), "a");
  EXPECT_EQ(sink->ends(), 1);
  EXPECT_EQ(ended_, 1);
}

TEST_F(TextStageTest, EventsOfUnknownRequestsAreIgnored) {
  const auto sink = Register(1);
  stage_->Post({.starts = {}, .tokens = {Token(7, 'z')}, .ends = {End(7)}});
  stage_->Post({.starts = {}, .tokens = {Token(1, 'a')}, .ends = {End(1)}});
  stage_->Post({.starts = {}, .tokens = {}, .ends = {End(1)}});
  Finish();
  EXPECT_EQ(sink->text(), "a");
  EXPECT_EQ(sink->ends(), 1);
  EXPECT_EQ(ended_, 1);
}

TEST_F(TextStageTest, TheDestructorHandlesWhatWasPosted) {
  std::vector<std::shared_ptr<RememberingSink>> sinks;
  for (RequestId id = 1; id <= 100; ++id) {
    sinks.push_back(Register(id));
    stage_->Post({.starts = {{.id = id}}, .tokens = {Token(id, 'a')}, .ends = {End(id)}});
  }
  Finish();
  for (const auto& sink : sinks) EXPECT_EQ(sink->ends(), 1);
  EXPECT_EQ(ended_, 100);
}

// Not until the step is computed, whose events they are.
TEST_F(TextStageTest, ARequestWaitsUntilTheStepThatItStartsInIsPlanned) {
  const auto sink = Register(1);
  StepEvents events{.starts = {{.id = 1}}, .tokens = {Token(1, 'a')}, .ends = {End(1)}};
  events.planned_at = TimePoint() + std::chrono::milliseconds(5);
  stage_->Post(std::move(events));
  Finish();
  EXPECT_DOUBLE_EQ(metrics_.queue_seconds.Read().sum, 0.005);
}

}  // namespace
}  // namespace cllm
