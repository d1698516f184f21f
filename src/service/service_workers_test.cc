// What runs beside the engine, and whom it holds up: preparing prompts, and jobs.
#include <atomic>
#include <latch>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/service.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

GenerateRequest AskText(std::string prompt, int max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

bool IsText(const Prompt& prompt, std::string_view text) {
  const auto* own = std::get_if<std::string>(&prompt);
  return own != nullptr && *own == text;
}

TimePoint MuchLater() { return std::chrono::steady_clock::now() + std::chrono::minutes(5); }

// Holds up all threads that make tokens of prompts.
class HeldTextModel : public ToyTextModel {
 public:
  Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const override {
    if (!IsText(prompt, "held")) return ToyTextModel::Encode(prompt, most_tokens, stop);
    busy_.count_down();
    go_.wait();
    return Fail(ErrorCode::kCancelled, "held");
  }

  mutable std::latch busy_{2};
  mutable std::latch go_{1};
};

TEST(ServiceWorkersTest, ARequestIsCancelledBeforeItsPromptIsPrepared) {
  HeldTextModel model;
  FakeEngine engine({});
  Service service(model, engine, {}, [] {});
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(service.Submit(AskText("held", 1), std::make_shared<RememberingSink>()));
  model.busy_.wait();  // no worker is left
  const auto sink = std::make_shared<RememberingSink>();
  const auto control = service.Submit(AskText("hello", 100), sink);
  EXPECT_EQ(service.stats().open_requests, 3);
  (*control)->Send(RequestControl::Signal::kCancel);
  model.go_.count_down();
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(service.WaitUntilIdle(MuchLater()));
  EXPECT_EQ(service.stats().loop.steps, 0) << "the engine has never heard of it";
}

TEST(ServiceWorkersTest, AnswersToOnePromptShareItsTokens) {
  class CountingModel : public ToyTextModel {
   public:
    Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const override {
      ++encoded;
      return ToyTextModel::Encode(prompt, most_tokens, stop);
    }
    mutable std::atomic<int> encoded = 0;
  };
  const CountingModel model;
  FakeEngine engine({});
  Service service(model, engine, {}, [] {});
  const auto shared = std::make_shared<const SharedRequest>(AskText("hello", 2));
  std::vector<std::shared_ptr<RememberingSink>> sinks;
  for (std::uint32_t choice = 0; choice < 8; ++choice) {
    sinks.push_back(std::make_shared<RememberingSink>());
    ASSERT_TRUE(service.Submit(shared, {.number = choice}, sinks.back()));
  }
  for (const auto& sink : sinks) EXPECT_TRUE(sink->WaitForEnd().status);
  EXPECT_EQ(model.encoded, 1);
}

TEST(ServiceWorkersTest, AJobCountsAsAnOpenRequestAndEndsWithItsClientOrItsTime) {
  const ToyTextModel model;
  FakeEngine engine({.max_sequences = 1});
  Service service(model, engine, {.request_timeout = 1000, .max_queue_size = 1}, [] {});
  const auto control = std::make_shared<RequestControl>();
  std::latch begun(1);
  Status end;
  ASSERT_TRUE(service.SubmitJob(control, [&](const StopCheck& stop) {
    begun.count_down();
    while (end) end = stop();
  }));
  begun.wait();
  EXPECT_EQ(service.stats().open_requests, 1);
  bool waited_in_vain = false;
  ASSERT_TRUE(service.SubmitJob(control, [&](const StopCheck& stop) { waited_in_vain = !stop(); }));
  const Status refused = service.SubmitJob(control, [](const StopCheck&) {});
  ASSERT_FALSE(refused) << "there is room for two";
  EXPECT_EQ(refused.error().code, ErrorCode::kQueueFull);
  control->Send(RequestControl::Signal::kCancel);
  EXPECT_TRUE(service.WaitUntilIdle(MuchLater()));
  EXPECT_EQ(end.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(waited_in_vain);
}

TEST(ServiceWorkersTest, WithoutMemoryForAPromptItsRequestAloneFails) {
  class GreedyModel : public ToyTextModel {
   public:
    Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const override {
      if (IsText(prompt, "huge")) throw std::bad_alloc();
      return ToyTextModel::Encode(prompt, most_tokens, stop);
    }
  };
  const GreedyModel model;
  FakeEngine engine({});
  Service service(model, engine, {}, [] {});
  const auto huge = std::make_shared<RememberingSink>();
  const auto small = std::make_shared<RememberingSink>();
  ASSERT_TRUE(service.Submit(AskText("huge", 2), huge));
  ASSERT_TRUE(service.Submit(AskText("small", 2), small));
  EXPECT_EQ(huge->WaitForEnd().status.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(small->WaitForEnd().status);
  EXPECT_TRUE(service.WaitUntilIdle(MuchLater()));
}

}  // namespace
}  // namespace cllm
