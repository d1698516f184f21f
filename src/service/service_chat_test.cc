// Chats whose template takes its time: what ends them, and whom they hold up.
#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/service.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

// Chats of it are rendered for ever, unless somebody stops them.
class EndlessTemplate : public ToyTextModel {
 public:
  Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const override {
    if (!std::holds_alternative<ChatPrompt>(prompt)) return ToyTextModel::Encode(prompt, most_tokens, stop);
    for (++rendering_;; std::this_thread::yield()) {
      if (Status status = stop(); !status) return std::unexpected(status.error());
    }
  }
  void WaitForRendering() const {
    while (rendering_ == 0) std::this_thread::yield();
  }

 private:
  mutable std::atomic<int> rendering_ = 0;
};

GenerateRequest AskChat() {
  GenerateRequest request;
  request.prompt = ChatPrompt{.messages = {{.role = "user", .content = "Hi"}}};
  return request;
}

class EndlessTemplateTest : public testing::Test {
 protected:
  std::shared_ptr<RequestControl> Submit(GenerateRequest request, const std::shared_ptr<RememberingSink>& sink) {
    return service_->Submit(std::move(request), sink).value();
  }

  EndlessTemplate model_;
  FakeEngine engine_{FakeEngineOptions{}};
  std::unique_ptr<Service> service_ = std::make_unique<Service>(model_, engine_, SchedulerOptions{}, [] {});
};

TEST_F(EndlessTemplateTest, TheDeadlineEndsARendering) {
  GenerateRequest request = AskChat();
  request.timeout_s = 0.01;
  const auto sink = std::make_shared<RememberingSink>();
  Submit(std::move(request), sink);
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kTimedOut);
}

TEST_F(EndlessTemplateTest, WhoLeavesEndsARendering) {
  const auto sink = std::make_shared<RememberingSink>();
  const auto control = Submit(AskChat(), sink);
  model_.WaitForRendering();
  control->Send(RequestControl::Signal::kCancel);
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kCancelled);
}

TEST_F(EndlessTemplateTest, TheEndOfTheServiceEndsARendering) {
  const auto sink = std::make_shared<RememberingSink>();
  Submit(AskChat(), sink);
  model_.WaitForRendering();
  std::latch begun(1);
  Status end;
  ASSERT_TRUE(service_->SubmitJob(std::make_shared<RequestControl>(), [&](const StopCheck& stop) {
    end = stop();
    begun.count_down();
    while (end) end = stop();
  }));
  begun.wait();
  service_.reset();
  EXPECT_FALSE(end) << "and it ends a job";
  EXPECT_FALSE(sink->WaitForEnd().status);
}

TEST_F(EndlessTemplateTest, HoldsUpNothingButChats) {
  std::vector<std::shared_ptr<RequestControl>> chats;
  for (int i = 0; i < 8; ++i) chats.push_back(Submit(AskChat(), std::make_shared<RememberingSink>()));
  const auto sink = std::make_shared<RememberingSink>();
  GenerateRequest plain;
  plain.prompt = "p";
  plain.max_tokens = 2;
  Submit(std::move(plain), sink);
  EXPECT_TRUE(sink->WaitForEnd().status);
  for (const auto& chat : chats) chat->Send(RequestControl::Signal::kCancel);
}

}  // namespace
}  // namespace cllm
