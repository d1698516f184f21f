// Random requests, cancels, deadlines and failures, in virtual time: whatever happens, each request ends once, as it
// should, and nothing stays.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/scheduler.h"
#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

constexpr int kSeeds = 200;
constexpr int kRequests = 100;
constexpr TokenId kPoison = 0;

class RandomRun {
 public:
  explicit RandomRun(int seed) : random_(seed), rig_(Engine(), {.max_batch_size = Between(1, 8)}) {}

  void Run() {
    int left = kRequests;
    while (left > 0 || rig_.scheduler.HasWork()) {
      for (int arrivals = Between(0, 3); arrivals > 0 && left > 0; --arrivals, --left) AddOne();
      if (!expected_.empty() && Chance(15)) Signal();
      rig_.now += milliseconds(Between(1, 5));
      rig_.Step();
      ASSERT_FALSE(testing::Test::HasFailure());
      ASSERT_LT(++steps_, 100'000);
    }
    EXPECT_EQ(rig_.engine.tokens_held(), 0);
    EXPECT_EQ(rig_.scheduler.computed_tokens(), 0);
    for (const auto& [id, expected] : expected_) CheckEnd(id, expected);
  }

 private:
  struct Expected {
    std::vector<TokenId> prompt;
    std::vector<TokenId> answer;
    FinishReason reason;
    bool poisoned;
    bool has_deadline = false;
    RequestControl::Signal signal = RequestControl::Signal::kNone;
  };

  int Between(int least, int most) { return std::uniform_int_distribution(least, most)(random_); }
  bool Chance(int percent) { return Between(1, 100) <= percent; }

  FakeEngineOptions Engine() {
    options_ = {.vocab_size = 40,
                .max_sequences = Between(1, 6),
                .max_step_tokens = Between(1, 24),
                .max_context = 96,
                .prefers_dense_slots = Chance(50),
                .poison_token = kPoison};
    return options_;
  }

  void AddOne() {
    Expected expected;
    for (int length = Between(1, 64); length > 0; --length) expected.prompt.push_back(Between(1, 39));
    expected.poisoned = Chance(8);
    const int most = Between(1, 32);
    std::vector<TokenId> stops;
    if (Chance(30)) stops.push_back(Between(1, 39));
    expected.answer = FakeAnswer(expected.prompt, most, stops, options_.vocab_size);
    expected.reason = static_cast<int>(expected.answer.size()) == most ? FinishReason::kLength : FinishReason::kStop;
    if (expected.poisoned) expected.prompt[Between(0, static_cast<int>(expected.prompt.size()) - 1)] = kPoison;
    expected.has_deadline = Chance(20);
    const RequestId id = rig_.Add(expected.prompt, most, [&](SequenceRequest& request) {
      request.stop_tokens = stops;
      if (expected.has_deadline) request.deadline = rig_.now + milliseconds(Between(0, 200));
    });
    expected_[id] = std::move(expected);
  }

  // Any request, at any time, also after its end. A stop goes only to those that have begun to answer.
  void Signal() {
    auto& [id, expected] = *std::next(expected_.begin(), Between(0, static_cast<int>(expected_.size()) - 1));
    const bool stop = Chance(30) && !rig_.tokens(id).empty();
    const auto signal = stop ? RequestControl::Signal::kStop : RequestControl::Signal::kCancel;
    if (expected.signal == RequestControl::Signal::kNone && !rig_.ended(id)) expected.signal = signal;
    rig_.Signal(id, signal);
  }

  void CheckEnd(RequestId id, const Expected& expected) {
    const EndEvent end = rig_.end(id);
    const auto& tokens = rig_.tokens(id);
    ASSERT_LE(tokens.size(), expected.answer.size()) << "request " << id;
    EXPECT_TRUE(expected.poisoned || std::equal(tokens.begin(), tokens.end(), expected.answer.begin())) << "request " << id;
    ++ends_[end.state];
    switch (end.state) {
      case RequestState::kFinished:
        EXPECT_FALSE(expected.poisoned);
        if (expected.signal == RequestControl::Signal::kStop) {
          EXPECT_EQ(end.reason, FinishReason::kStop);
        } else {
          EXPECT_EQ(tokens, expected.answer) << "request " << id;
          EXPECT_EQ(end.reason, expected.reason) << "request " << id;
        }
        return;
      case RequestState::kCancelled:
        EXPECT_EQ(expected.signal, RequestControl::Signal::kCancel);
        return;
      case RequestState::kTimedOut:
        EXPECT_TRUE(expected.has_deadline);
        EXPECT_EQ(end.error.code, ErrorCode::kTimedOut);
        return;
      case RequestState::kFailed:
        EXPECT_TRUE(expected.poisoned);
        EXPECT_TRUE(tokens.empty());
        return;
      default:
        ADD_FAILURE() << "request " << id << " ended as " << RequestStateName(end.state);
    }
  }

  std::mt19937 random_;
  FakeEngineOptions options_;
  SchedulerRig rig_;
  std::map<RequestId, Expected> expected_;
  int steps_ = 0;

 public:
  std::map<RequestState, int> ends_;
};

TEST(SchedulerRandomTest, EachRequestEndsOnceAndNothingStays) {
  std::map<RequestState, int> ends;
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomRun run(seed);
    run.Run();
    ASSERT_FALSE(HasFailure());
    for (const auto& [state, count] : run.ends_) ends[state] += count;
  }
  int sum = 0;
  for (const auto& [state, count] : ends) {
    EXPECT_GT(count, 200) << RequestStateName(state) << ": the runs should see each kind of end often";
    sum += count;
  }
  EXPECT_EQ(ends.size(), 4U);
  EXPECT_EQ(sum, kSeeds * kRequests);
}

}  // namespace
}  // namespace cllm
