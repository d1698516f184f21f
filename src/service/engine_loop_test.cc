#include "service/engine_loop.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/testing_gate.h"

namespace cllm {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

std::vector<TokenId> PromptOf(int length, int salt) {
  std::vector<TokenId> prompt;
  for (int i = 0; i < length; ++i) prompt.push_back(1 + (salt * 37 + i * 11) % 200);
  return prompt;
}

std::vector<TokenId> Chain(std::vector<TokenId> prompt, int most) {
  std::vector<TokenId> answer;
  while (static_cast<int>(answer.size()) < most) {
    answer.push_back(FakeEngine::NextToken(prompt, 256));
    prompt.push_back(answer.back());
  }
  return answer;
}

SequenceRequest Request(RequestId id, std::vector<TokenId> prompt, int max_tokens) {
  SequenceRequest request;
  request.id = id;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.control = std::make_shared<RequestControl>();
  return request;
}

// What a loop told, kept for the test's thread.
class Events {
 public:
  void Add(const StepEvents& events) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(events.empty());
    for (const TokenEvent& event : events.tokens) tokens_[event.id].push_back(event.token.token);
    for (const EndEvent& event : events.ends) {
      EXPECT_TRUE(ends_.emplace(event.id, event).second) << "request " << event.id << " ended twice";
    }
    changed_.notify_all();
  }
  EndEvent WaitForEnd(RequestId id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_.contains(id); });
    return ends_.at(id);
  }
  void WaitForTokens(RequestId id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tokens_.contains(id); });
  }
  std::vector<TokenId> tokens(RequestId id) {
    const std::lock_guard lock(mutex_);
    return tokens_[id];
  }
  std::size_t ends() {
    const std::lock_guard lock(mutex_);
    return ends_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, std::vector<TokenId>> tokens_;
  std::map<RequestId, EndEvent> ends_;
};

class EngineLoopTest : public testing::Test {
 protected:
  void Start(FakeEngineOptions engine = {}, SchedulerOptions options = {}) {
    loop_.reset();
    if (!engine.on_step) engine.on_step = gate_.Hook();
    engine_ = std::make_unique<FakeEngine>(std::move(engine));
    loop_ = std::make_unique<EngineLoop>(*engine_, options, [this](StepEvents&& events) {
      events_.Add(events);
      for (const EndEvent& end : events.ends) {
        if (on_end_) on_end_(end.id);
      }
    });
  }
  ~EngineLoopTest() override { gate_.Open(); }

  // The step that only drops the KV of what has ended: the loop holds nothing afterwards.
  void PassDropStep() {
    const StepPlan plan = gate_.WaitForStep();
    EXPECT_TRUE(plan.sequences.empty());
    EXPECT_FALSE(plan.operations.empty());
    gate_.Release();
  }

  StepGate gate_;
  Events events_;
  std::function<void(RequestId)> on_end_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(EngineLoopTest, ArrivalsWhileAStepComputesJoinTheNextOne) {
  Start();
  loop_->Submit(Request(1, PromptOf(5, 1), 4));
  EXPECT_EQ(gate_.WaitForStep().sequences, (std::vector<SequenceWork>{{0, 0, 0, 5, RowOutput::kLogits}}));
  loop_->Submit(Request(2, PromptOf(6, 2), 4));
  loop_->Submit(Request(3, PromptOf(7, 3), 4));
  gate_.Release();
  EXPECT_EQ(
      gate_.WaitForStep().sequences,
      (std::vector<SequenceWork>{{0, 5, 0, 1, RowOutput::kLogits}, {1, 0, 1, 6, RowOutput::kLogits}, {2, 0, 7, 7, RowOutput::kLogits}}));
  gate_.Open();
  for (const RequestId id : {1, 2, 3}) {
    EXPECT_EQ(events_.WaitForEnd(id).reason, FinishReason::kLength);
    EXPECT_EQ(events_.tokens(id), Chain(PromptOf(4 + static_cast<int>(id), static_cast<int>(id)), 4));
  }
}

TEST_F(EngineLoopTest, ACancelWhileAStepComputesFreesThePlaceInTheNextOne) {
  Start({.max_sequences = 1});
  const SequenceRequest first = Request(1, PromptOf(5, 1), 50);
  loop_->Submit(first);
  gate_.WaitForStep();
  loop_->Submit(Request(2, PromptOf(3, 2), 1));
  first.control->Send(RequestControl::Signal::kCancel);
  gate_.Release();
  const StepPlan plan = gate_.WaitForStep();
  EXPECT_EQ(plan.operations, (std::vector<KvOperation>{{KvOperation::Kind::kDrop, 0, 0}}));
  EXPECT_EQ(plan.sequences, (std::vector<SequenceWork>{{0, 0, 0, 3, RowOutput::kLogits}}));
  gate_.Open();
  EXPECT_EQ(events_.WaitForEnd(1).state, RequestState::kCancelled);
  EXPECT_EQ(events_.WaitForEnd(2).state, RequestState::kFinished);
}

TEST_F(EngineLoopTest, AStepThatDoesNotEndGrowsOld) {
  Start();
  const auto age_in_an_hour = [this] { return loop_->StepAge(steady_clock::now() + std::chrono::hours(1)); };
  EXPECT_EQ(age_in_an_hour(), nanoseconds::zero()) << "no step is under way";
  loop_->Submit(Request(1, PromptOf(5, 1), 3));
  gate_.WaitForStep();
  EXPECT_GT(age_in_an_hour(), std::chrono::minutes(59));
  EXPECT_EQ(loop_->StepAge(TimePoint()), nanoseconds::zero()) << "an age is never negative";
  gate_.Open();
  events_.WaitForEnd(1);
  while (age_in_an_hour() != nanoseconds::zero()) std::this_thread::yield();  // the step that drops what the ended one held
}

TEST_F(EngineLoopTest, StatsFollowTheSteps) {
  Start({.max_sequences = 2}, {.max_batch_size = 2});
  EXPECT_EQ(loop_->max_running(), 2);
  EXPECT_EQ(loop_->stats().steps, 0);
  loop_->Submit(Request(1, PromptOf(5, 1), 3));
  gate_.WaitForStep();
  loop_->Submit(Request(2, PromptOf(6, 2), 3));
  loop_->Submit(Request(3, PromptOf(7, 3), 3));
  gate_.Release();
  gate_.WaitForStep();  // the second step computes; the figures are those after the first one
  EngineLoopStats stats = loop_->stats();
  EXPECT_EQ(stats.steps, 1);
  EXPECT_EQ(stats.prompt_tokens, 5);
  EXPECT_EQ(stats.generated_tokens, 1);
  EXPECT_EQ(stats.running, 1);
  EXPECT_EQ(stats.queued, 0);
  EXPECT_EQ(stats.kv_tokens, 5);
  gate_.Release();
  gate_.WaitForStep();
  stats = loop_->stats();
  EXPECT_EQ(stats.steps, 2);
  EXPECT_EQ(stats.prompt_tokens, 11);
  EXPECT_EQ(stats.generated_tokens, 3);
  EXPECT_EQ(stats.running, 2);
  EXPECT_EQ(stats.queued, 1);
  EXPECT_EQ(stats.kv_tokens, 12);
  while (events_.ends() < 3) {
    gate_.Release();
    gate_.WaitForStep();
  }
  stats = loop_->stats();
  EXPECT_EQ(stats.prompt_tokens, 18);
  EXPECT_EQ(stats.generated_tokens, 9);
  EXPECT_EQ(stats.running + stats.queued, 0);
  EXPECT_EQ(stats.kv_tokens, 0);
}

TEST_F(EngineLoopTest, PromptTokensAreCountedWhateverTheChunks) {
  Start({.max_step_tokens = 4});
  std::int64_t sum = 0;
  for (int length = 1; length <= 13; ++length) {
    loop_->Submit(Request(length, PromptOf(length, length), 2));
    while (!gate_.WaitForStep().sequences.empty()) gate_.Release();
    sum += length;
    EXPECT_EQ(loop_->stats().prompt_tokens, sum) << "after a prompt of " << length << " tokens in chunks of 4";
    EXPECT_EQ(loop_->stats().generated_tokens, 2 * length);
    gate_.Release();
  }
}

TEST_F(EngineLoopTest, TheTimeInsideTheEngineIsComputingAndAnIdleLoopIsNotIdleWithWork) {
  Start();
  const auto start = steady_clock::now();
  loop_->Submit(Request(1, PromptOf(5, 1), 1));
  gate_.WaitForStep();
  std::this_thread::sleep_for(milliseconds(30));
  gate_.Release();
  PassDropStep();
  std::this_thread::sleep_for(milliseconds(200));  // time without work
  loop_->Submit(Request(2, PromptOf(5, 1), 1));
  gate_.WaitForStep();
  const EngineLoopStats stats = loop_->stats();
  EXPECT_GE(stats.computing_ns, 30'000'000);
  EXPECT_LE(nanoseconds(stats.idle_with_work_ns), steady_clock::now() - start - milliseconds(200));
}

// The loop's thread may find work the first time that it looks.
TEST_F(EngineLoopTest, TheVeryFirstRequestHasNotWaitedSinceTheMachineStarted) {
  gate_.Open();
  for (int i = 1; i <= 20; ++i) {
    Start();
    loop_->Submit(Request(i, PromptOf(5, i), 1));
    events_.WaitForEnd(i);
    EXPECT_LT(loop_->stats().idle_with_work_ns, 10'000'000'000);
  }
}

TEST_F(EngineLoopTest, TheDestructorFailsWhatIsLeft) {
  Start({.max_sequences = 2, .max_context = 1'000'000});
  gate_.Open();
  for (const RequestId id : {1, 2, 3}) loop_->Submit(Request(id, PromptOf(5, 1), 500'000));
  events_.WaitForTokens(2);
  loop_->Submit(Request(4, PromptOf(5, 1), 500'000));
  loop_.reset();
  for (const RequestId id : {1, 2, 3, 4}) {
    const EndEvent end = events_.WaitForEnd(id);
    EXPECT_EQ(end.state, RequestState::kFailed);
    EXPECT_EQ(end.error.code, ErrorCode::kUnavailable);
  }
}

TEST_F(EngineLoopTest, AnIdleLoopAndOneThatNeverRanEnd) {
  Start();
  loop_.reset();
  Start();
  gate_.Open();
  loop_->Submit(Request(1, PromptOf(5, 1), 1));
  events_.WaitForEnd(1);
  loop_.reset();
}

// Two bursts with a second arrival make a habit; in the third the engine waits for the second request.
TEST_F(EngineLoopTest, RequestsThatUsuallyComeTogetherShareTheirFirstStep) {
  Start({.max_sequences = 2}, {.batch_timeout_ms = 60'000});
  RequestId id = 1;
  for (int burst = 0; burst < 2; ++burst) {
    loop_->Submit(Request(id++, PromptOf(5, 1), 1));
    EXPECT_EQ(gate_.WaitForStep().sequences.size(), 1U) << "no habit yet";
    std::this_thread::sleep_for(milliseconds(500));  // the delay that the loop is to learn: it will wait twice as long
    loop_->Submit(Request(id++, PromptOf(5, 2), 1));
    gate_.Release();
    EXPECT_EQ(gate_.WaitForStep().sequences.size(), 1U);
    gate_.Release();
    PassDropStep();
  }
  loop_->Submit(Request(id++, PromptOf(5, 1), 1));
  std::this_thread::sleep_for(milliseconds(20));  // an engine that did not wait would be inside its step by now
  loop_->Submit(Request(id++, PromptOf(5, 2), 1));
  EXPECT_EQ(gate_.WaitForStep().sequences.size(), 2U);
}

// A client that asks again as soon as it has its answer is still alone, even where its next request reaches the loop
// before the engine has dropped the KV of the last one.
TEST_F(EngineLoopTest, AQuickLoneClientNeverWaits) {
  static constexpr milliseconds kAnswer(300);  // what a wait would take twice
  Start({.on_step =
             [](const StepPlan& plan) {
               if (!plan.sequences.empty()) std::this_thread::sleep_for(kAnswer);
             }},
        {.batch_timeout_ms = 60'000});
  on_end_ = [this](RequestId id) {
    if (id % 2 == 1 && id < 5) loop_->Submit(Request(id + 1, PromptOf(5, 1), 1));
  };
  for (const RequestId first : {1, 3}) {
    loop_->Submit(Request(first, PromptOf(5, 1), 1));
    events_.WaitForEnd(first + 1);
    std::this_thread::sleep_for(milliseconds(40));  // the client pauses and the loop becomes idle
  }
  const std::int64_t before = loop_->stats().idle_with_work_ns;
  loop_->Submit(Request(5, PromptOf(5, 1), 1));
  events_.WaitForEnd(5);
  EXPECT_LT(nanoseconds(loop_->stats().idle_with_work_ns - before), kAnswer);
}

}  // namespace
}  // namespace cllm
