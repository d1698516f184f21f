// Sequences that may not go on as they like: masks, tokens that have to come, masks that come late.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

constexpr int kVocabulary = 256;

// Lets even tokens come at even places of the answer and odd ones at odd places; at places that `forced` names, the tokens that follow
// there have to come.
class Parity : public TokenConstraint {
 public:
  struct Rules {
    std::map<std::size_t, std::vector<TokenId>> forced = {};  // by place
    int late = 0;                                             // times that each mask isn't there yet
    std::optional<std::size_t> end = {};                      // nothing may come from this place on
    std::optional<std::size_t> dead_end = {};
  };
  explicit Parity(Rules rules) : rules_(std::move(rules)) {}

  Result<std::optional<TokenMask>> Next(std::chrono::microseconds) override {
    if (looks_++ < rules_.late) return std::nullopt;
    if (pending_.empty()) {
      if (const auto found = rules_.forced.find(place_); found != rules_.forced.end()) pending_ = found->second;
    }
    if (!pending_.empty()) return TokenMask{.forced = pending_};
    if (rules_.dead_end == place_) return Fail(ErrorCode::kInternal, "nothing may come");
    mask_.assign(kVocabulary / 32, place_ % 2 == 0 ? 0x55555555U : 0xAAAAAAAAU);
    return TokenMask{.allowed = mask_, .is_end = rules_.end == place_};
  }

  void Accept(std::int32_t token) override {
    if (!pending_.empty()) {
      EXPECT_EQ(token, pending_.front());
      pending_.erase(pending_.begin());
    } else {
      EXPECT_EQ(token % 2, static_cast<int>(place_ % 2));
    }
    ++place_;
    looks_ = 0;
  }

 private:
  Rules rules_;
  std::vector<TokenId> pending_;
  std::vector<std::uint32_t> mask_;
  std::size_t place_ = 0;
  int looks_ = 0;
};

auto Constrained(const Parity::Rules& rules, std::int32_t logprobs = kNoLogprobs) {
  return [rules, logprobs](SequenceRequest& request) {
    request.constraint = std::make_shared<Parity>(rules);
    request.sampling.top_logprobs = logprobs;
  };
}

TEST(SchedulerConstraintTest, OnlyWhatTheMaskAllowsComes) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(5, 1), 40, Constrained({}));
  rig.RunToEnd();
  ASSERT_EQ(rig.tokens(id).size(), 40U);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(rig.tokens(id)[i] % 2, static_cast<int>(i % 2)) << i;
}

TEST(SchedulerConstraintTest, ALateMaskChangesNothingButTheTime) {
  SchedulerRig in_time;
  const RequestId id = in_time.Add(SomePrompt(5, 1), 20, Constrained({}));
  in_time.RunToEnd();
  SchedulerRig late;
  late.masks_come_late = true;
  const RequestId late_id = late.Add(SomePrompt(5, 1), 20, Constrained({.late = 3}));
  const RequestId other = late.Add(SomePrompt(7, 2), 20);
  bool awaited = false;
  while (late.scheduler.HasWork()) {
    late.Step();
    awaited = awaited || late.scheduler.AwaitsMasks();
  }
  EXPECT_EQ(late.tokens(late_id), in_time.tokens(id));
  EXPECT_EQ(late.tokens(other), FakeAnswer(SomePrompt(7, 2), 20)) << "others go on meanwhile";
  EXPECT_TRUE(awaited) << "at the end it is alone";
}

TEST(SchedulerConstraintTest, WhatHasToComeIsComputedTogether) {
  const Parity::Rules rules{.forced = {{0, {10, 11, 12, 13, 14}}, {6, {9}}, {8, {4, 3, 2, 1}}}};
  SchedulerRig one_by_one;
  const RequestId with_logprobs = one_by_one.Add(SomePrompt(5, 1), 16, Constrained(rules, 0));
  one_by_one.RunToEnd();
  SchedulerRig together;
  const RequestId id = together.Add(SomePrompt(5, 1), 16, Constrained(rules));
  together.RunToEnd();
  EXPECT_EQ(together.tokens(id), one_by_one.tokens(with_logprobs)) << "same tokens with a row each";
  EXPECT_LE(together.engine.steps() + 7, one_by_one.engine.steps());
  EXPECT_EQ(together.outcome(id).tokens.size(), 16U);
}

TEST(SchedulerConstraintTest, ABoundCutsWhatHasToCome) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(5, 1), 3, Constrained({.forced = {{1, {10, 11, 12, 13}}}}));
  rig.RunToEnd();
  ASSERT_EQ(rig.tokens(id).size(), 3U);
  EXPECT_EQ(rig.tokens(id)[2], 11);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
}

TEST(SchedulerConstraintTest, AForcedStopTokenEndsTheAnswer) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(5, 1), 10, [](SequenceRequest& request) {
    Constrained({.forced = {{1, {10, 11, 12}}}})(request);
    request.stop_tokens = {11};
  });
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id).size(), 2U);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kStop);
}

TEST(SchedulerConstraintTest, TheEndOfTheGrammarEndsTheAnswerAndADeadEndFailsIt) {
  SchedulerRig rig;
  const RequestId ends = rig.Add(SomePrompt(5, 1), 30, Constrained({.end = 4}));
  const RequestId fails = rig.Add(SomePrompt(5, 2), 30, Constrained({.dead_end = 4}));
  const RequestId other = rig.Add(SomePrompt(5, 3), 30);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(ends).size(), 4U);
  EXPECT_EQ(rig.end(ends).state, RequestState::kFinished);
  EXPECT_EQ(rig.end(ends).reason, FinishReason::kStop);
  EXPECT_EQ(rig.end(fails).state, RequestState::kFailed);
  EXPECT_EQ(rig.tokens(other), FakeAnswer(SomePrompt(5, 3), 30));
}

// Blocks run out, so sequences give way while they wait, and while several tokens at a time have to come.
TEST(SchedulerConstraintTest, GivingWayChangesNoAnswer) {
  Parity::Rules rules{.late = 1};
  for (std::size_t place = 3; place < 60; place += 7) rules.forced[place] = {2, 3, 4, 5};
  SchedulerRig alone;
  alone.masks_come_late = true;
  std::vector<std::vector<TokenId>> expected;
  for (int i = 0; i < 4; ++i) {
    const RequestId id = alone.Add(SomePrompt(9, i), 60, Constrained(rules));
    alone.RunToEnd();
    expected.push_back(alone.tokens(id));
  }
  SchedulerRig rig({.max_sequences = 4, .kv_block_tokens = 4, .kv_blocks = 64});
  rig.masks_come_late = true;
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(rig.Add(SomePrompt(9, i), 60, Constrained(rules)));
  rig.RunToEnd();
  EXPECT_GT(rig.preemptions, 0);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(rig.tokens(ids[i]), expected[i]) << i;
}

TEST(SchedulerConstraintTest, WhatWaitsForAMaskCanBeCancelledAndTimesOut) {
  SchedulerRig rig;
  rig.masks_come_late = true;
  const RequestId cancelled = rig.Add(SomePrompt(5, 1), 10, Constrained({.late = 1 << 30}));
  const RequestId late = rig.Add(SomePrompt(5, 2), 10, [&](SequenceRequest& request) {
    Constrained({.late = 1 << 30})(request);
    request.deadline = rig.now + milliseconds(50);
  });
  for (int i = 0; i < 5; ++i) rig.Step();
  EXPECT_TRUE(rig.scheduler.AwaitsMasks());
  rig.Signal(cancelled, RequestControl::Signal::kCancel);
  rig.now += milliseconds(100);
  rig.RunToEnd(10);
  EXPECT_EQ(rig.end(cancelled).state, RequestState::kCancelled);
  EXPECT_EQ(rig.end(late).state, RequestState::kTimedOut);
}

}  // namespace
}  // namespace cllm
