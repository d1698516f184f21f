// How requests end, and that nothing of them stays.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/scheduler.h"
#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

using Signal = RequestControl::Signal;

TEST(SchedulerEndTest, MaxTokensEndsWithLength) {
  for (const int most : {1, 2, 30}) {
    SchedulerRig rig;
    const RequestId id = rig.Add(SomePrompt(4, 1), most);
    rig.RunToEnd();
    EXPECT_EQ(rig.tokens(id), FakeAnswer(SomePrompt(4, 1), most));
    EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
    EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
  }
}

TEST(SchedulerEndTest, AStopTokenEndsTheAnswerAndIsNotAPartOfIt) {
  const auto prompt = SomePrompt(4, 1);
  const auto whole = FakeAnswer(prompt, 30);
  for (const int at : {0, 1, 9}) {
    const std::vector<TokenId> stops{whole[at]};
    SchedulerRig rig;
    const RequestId id = rig.Add(prompt, 30, [&](SequenceRequest& request) { request.stop_tokens = stops; });
    rig.RunToEnd();
    EXPECT_EQ(rig.tokens(id), FakeAnswer(prompt, 30, stops));
    EXPECT_LE(rig.tokens(id).size(), static_cast<std::size_t>(at));
    EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
    EXPECT_EQ(rig.end(id).reason, FinishReason::kStop);
  }
}

TEST(SchedulerEndTest, AnyOfSeveralStopTokensCounts) {
  const auto prompt = SomePrompt(4, 1);
  const auto whole = FakeAnswer(prompt, 30);
  std::vector<TokenId> stops{whole[3], whole[7], 0};
  std::ranges::sort(stops);
  SchedulerRig rig;
  const RequestId id = rig.Add(prompt, 30, [&](SequenceRequest& request) { request.stop_tokens = stops; });
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id), FakeAnswer(prompt, 30, stops));
  EXPECT_EQ(rig.end(id).reason, FinishReason::kStop);
}

TEST(SchedulerEndTest, ABannedTokenIsNeitherGeneratedNorAStop) {
  const auto prompt = SomePrompt(4, 1);
  const TokenId banned = FakeAnswer(prompt, 1)[0];
  SchedulerRig rig;
  const RequestId id = rig.Add(prompt, 8, [&](SequenceRequest& request) { request.sampling.banned = {banned}; });
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id).size(), 8U);
  EXPECT_EQ(std::ranges::count(rig.tokens(id), banned), 0);
}

TEST(SchedulerEndTest, AFullContextEndsWithLength) {
  SchedulerRig rig({.max_context = 32});
  const RequestId id = rig.Add(SomePrompt(20, 1), 100);
  const RequestId exact = rig.Add(SomePrompt(20, 2), 12);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id), FakeAnswer(SomePrompt(20, 1), 12));
  EXPECT_EQ(rig.end(id).reason, FinishReason::kLength);
  EXPECT_EQ(rig.tokens(exact).size(), 12U);
  EXPECT_EQ(rig.end(exact).reason, FinishReason::kLength);
}

TEST(SchedulerEndTest, ACancelledRequestLeavesTheQueueWithinOnePlan) {
  SchedulerRig rig({.max_sequences = 1});
  rig.Add(SomePrompt(4, 1), 50);
  const RequestId queued = rig.Add(SomePrompt(4, 2), 50);
  rig.Step();
  rig.Signal(queued, Signal::kCancel);
  rig.Step();
  EXPECT_EQ(rig.end(queued).state, RequestState::kCancelled);
  EXPECT_EQ(rig.outcome(queued).starts, 0);
  EXPECT_EQ(rig.scheduler.queued(), 0);
  rig.RunToEnd();
}

TEST(SchedulerEndTest, ACancelledRequestGivesItsPlaceAndItsKvBackWithinOnePlan) {
  for (const bool mid_prefill : {false, true}) {
    SchedulerRig rig({.max_sequences = 2, .max_step_tokens = 8});
    const RequestId stays = rig.Add(SomePrompt(1, 1), 50);
    const RequestId leaves = rig.Add(SomePrompt(mid_prefill ? 60 : 3, 2), 50);
    const RequestId waits = rig.Add(SomePrompt(5, 3), 5);
    rig.Step();
    rig.Step();
    EXPECT_EQ(rig.tokens(leaves).empty(), mid_prefill);
    rig.Signal(leaves, Signal::kCancel);
    const StepPlan plan = rig.Step();
    EXPECT_EQ(rig.end(leaves).state, RequestState::kCancelled);
    EXPECT_EQ(plan.operations, (std::vector<KvOperation>{{KvOperation::Kind::kDrop, 1, 0}}));
    EXPECT_EQ(plan.sequences, (std::vector<SequenceWork>{{0, 3 - 1, 0, 1, RowOutput::kLogits}, {1, 0, 1, 5, RowOutput::kLogits}}))
        << "whoever waited has the place in the same step";
    rig.RunToEnd();
    EXPECT_EQ(rig.tokens(waits), FakeAnswer(SomePrompt(5, 3), 5));
    EXPECT_EQ(rig.tokens(stays), FakeAnswer(SomePrompt(1, 1), 50));
  }
}

TEST(SchedulerEndTest, AStopSignalFinishes) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(4, 1), 50);
  for (int i = 0; i < 5; ++i) rig.Step();
  rig.Signal(id, Signal::kStop);
  rig.Step();
  EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
  EXPECT_EQ(rig.end(id).reason, FinishReason::kStop);
  EXPECT_EQ(rig.end(id).error, Error{});
  EXPECT_EQ(rig.tokens(id).size(), 5U);
  rig.RunToEnd();
}

TEST(SchedulerEndTest, WhatEndsWhileAStepComputesGetsNoTokenFromIt) {
  struct Case {
    Signal signal;
    milliseconds passes;
    RequestState state;
  };
  for (const auto& [signal, passes, state] : {Case{Signal::kCancel, milliseconds(0), RequestState::kCancelled},
                                              {Signal::kStop, milliseconds(0), RequestState::kFinished},
                                              {Signal::kNone, milliseconds(10), RequestState::kTimedOut}}) {
    std::function<void()> during = [] {};
    SchedulerRig rig({.on_step = [&during](const StepPlan&) { during(); }});
    const RequestId ends = rig.Add(SomePrompt(4, 1), 50, [&](SequenceRequest& request) { request.deadline = rig.now + milliseconds(10); });
    const RequestId other = rig.Add(SomePrompt(4, 2), 5);
    rig.Step();
    during = [&] {
      if (signal != Signal::kNone) rig.Signal(ends, signal);
      rig.now += passes;
    };
    rig.Step();
    EXPECT_EQ(rig.end(ends).state, state);
    EXPECT_EQ(rig.tokens(ends).size(), 1U);
    EXPECT_EQ(rig.tokens(other).size(), 2U);
    during = [] {};
    EXPECT_EQ(rig.Step().operations, (std::vector<KvOperation>{{KvOperation::Kind::kDrop, 0, 0}}));
    rig.RunToEnd();
    EXPECT_EQ(rig.tokens(other), FakeAnswer(SomePrompt(4, 2), 5));
  }
}

TEST(SchedulerEndTest, ASignalAfterTheEndChangesNothing) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(4, 1), 1);
  rig.Step();
  rig.Signal(id, Signal::kCancel);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(id).state, RequestState::kFinished);
}

// The control is in the hands of other threads: none of its signals may end the process.
TEST(SchedulerEndTest, AStopSignalForAQueuedRequestEndsNoProcess) {
  EXPECT_EXIT(
      {
        SchedulerRig rig({.max_sequences = 1});
        rig.Add(SomePrompt(4, 1), 5);
        const RequestId queued = rig.Add(SomePrompt(4, 2), 5);
        rig.Step();
        rig.Signal(queued, Signal::kStop);
        rig.RunToEnd();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(SchedulerEndTest, ADeadlineInTheQueueSaysSo) {
  SchedulerRig rig({.max_sequences = 1});
  const RequestId first = rig.Add(SomePrompt(4, 1), 20);
  const RequestId queued = rig.Add(SomePrompt(4, 2), 20, [&](SequenceRequest& request) { request.deadline = rig.now + milliseconds(10); });
  rig.Step();
  rig.now += milliseconds(9);
  rig.Step();
  EXPECT_FALSE(rig.ended(queued));
  rig.now += milliseconds(1);
  rig.Step();
  EXPECT_EQ(rig.end(queued).state, RequestState::kTimedOut);
  EXPECT_EQ(rig.end(queued).error.code, ErrorCode::kTimedOut);
  EXPECT_EQ(rig.end(queued).error.message, "the request's deadline passed while it waited for a free place");
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(first).size(), 20U);
}

TEST(SchedulerEndTest, ADeadlineOfARunningRequestSaysHowFarItCame) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(4, 1), 20, [&](SequenceRequest& request) { request.deadline = rig.now + milliseconds(10); });
  const RequestId other = rig.Add(SomePrompt(4, 2), 20);
  for (int i = 0; i < 3; ++i) rig.Step();
  rig.now += milliseconds(10);
  const StepPlan plan = rig.Step();
  EXPECT_EQ(plan.operations, (std::vector<KvOperation>{{KvOperation::Kind::kDrop, 0, 0}}));
  EXPECT_EQ(rig.end(id).state, RequestState::kTimedOut);
  EXPECT_EQ(rig.end(id).error.message, "the request's deadline passed after 3 of at most 20 tokens");
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(other).size(), 20U);
}

TEST(SchedulerEndTest, ACancelBeatsADeadline) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(4, 1), 20, [&](SequenceRequest& request) { request.deadline = rig.now; });
  rig.Signal(id, Signal::kCancel);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(id).state, RequestState::kCancelled);
}

TEST(SchedulerEndTest, ARequestWithoutAControlRuns) {
  SchedulerRig rig;
  const RequestId id = rig.Add(SomePrompt(4, 1), 3, [](SequenceRequest& request) { request.control = nullptr; });
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(id).size(), 3U);
}

TEST(SchedulerEndTest, AFailingSequenceFailsAlone) {
  SchedulerRig rig({.max_sequences = 3, .max_step_tokens = 8, .poison_token = 0});
  const RequestId before = rig.Add(SomePrompt(6, 1), 12);
  auto poisoned = SomePrompt(20, 2);
  poisoned[15] = 0;
  const RequestId failing = rig.Add(poisoned, 12);
  const RequestId after = rig.Add(SomePrompt(6, 3), 12);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(failing).state, RequestState::kFailed);
  EXPECT_EQ(rig.end(failing).error, (Error{ErrorCode::kInternal, "poisoned token", {}}));
  EXPECT_TRUE(rig.tokens(failing).empty());
  EXPECT_EQ(rig.tokens(before), FakeAnswer(SomePrompt(6, 1), 12));
  EXPECT_EQ(rig.tokens(after), FakeAnswer(SomePrompt(6, 3), 12));
}

TEST(SchedulerEndTest, ARequestThatNoTokenIsLeftForFailsAlone) {
  SchedulerRig rig({.vocab_size = 4});
  const RequestId failing = rig.Add({1, 2}, 5, [](SequenceRequest& request) { request.sampling.banned = {0, 1, 2, 3}; });
  const RequestId other = rig.Add({2, 1}, 5);
  rig.RunToEnd();
  EXPECT_EQ(rig.end(failing).state, RequestState::kFailed);
  EXPECT_EQ(rig.end(failing).error.code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(rig.end(failing).error.message.empty());
  EXPECT_EQ(rig.tokens(other), FakeAnswer({2, 1}, 5, {}, 4));
}

TEST(SchedulerEndTest, FailAllEndsTheQueuedAndTheRunning) {
  SchedulerRig rig({.max_sequences = 2});
  std::vector<RequestId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(rig.Add(SomePrompt(4, i), 20));
  rig.Step();
  rig.Step();
  rig.scheduler.FailAll({ErrorCode::kUnavailable, "bye", {}});
  rig.scheduler.CheckInvariants();
  rig.TakeEvents();
  for (const RequestId id : ids) {
    EXPECT_EQ(rig.end(id).state, RequestState::kFailed);
    EXPECT_EQ(rig.end(id).error.message, "bye");
  }
  EXPECT_EQ(rig.scheduler.queued() + rig.scheduler.running(), 0);
  EXPECT_TRUE(rig.scheduler.HasWork()) << "the engine still holds KV";
  EXPECT_EQ(rig.Step().operations.size(), 2U);
  EXPECT_FALSE(rig.scheduler.HasWork());
  EXPECT_EQ(rig.engine.tokens_held(), 0);

  const RequestId next = rig.Add(SomePrompt(4, 9), 5);
  rig.RunToEnd();
  EXPECT_EQ(rig.tokens(next), FakeAnswer(SomePrompt(4, 9), 5));
}

TEST(SchedulerEndTest, KvIsDroppedOnEveryKindOfEnd) {
  struct Kind {
    const char* name;
    RequestState state;
    std::function<void(SchedulerRig&, RequestId)> make_end;
  };
  const std::vector<Kind> kinds{{"length", RequestState::kFinished,
                                 [](auto& rig, RequestId) {
                                   for (int i = 0; i < 20; ++i) rig.Step();
                                 }},
                                {"cancel", RequestState::kCancelled, [](auto& rig, RequestId id) { rig.Signal(id, Signal::kCancel); }},
                                {"stop", RequestState::kFinished, [](auto& rig, RequestId id) { rig.Signal(id, Signal::kStop); }},
                                {"deadline", RequestState::kTimedOut, [](auto& rig, RequestId) { rig.now += milliseconds(1000); }},
                                {"failure", RequestState::kFailed, [](auto& rig, RequestId) { rig.scheduler.FailAll({}); }}};
  for (const Kind& kind : kinds) {
    SchedulerRig rig;
    const RequestId id = rig.Add(SomePrompt(9, 1), 20, [&](SequenceRequest& request) { request.deadline = rig.now + milliseconds(999); });
    rig.Step();
    EXPECT_EQ(rig.engine.tokens_held(), 9) << kind.name;
    kind.make_end(rig, id);
    rig.Step();
    EXPECT_EQ(rig.end(id).state, kind.state) << kind.name;
    EXPECT_EQ(rig.engine.tokens_held(), 0) << kind.name;
    EXPECT_FALSE(rig.scheduler.HasWork()) << kind.name;
  }
}

// When a place comes free.

FakeEngineOptions OnePlace() {
  FakeEngineOptions engine;
  engine.max_sequences = 1;
  return engine;
}

struct SlowRig : SchedulerRig {
  SlowRig() : SchedulerRig(OnePlace()) {
    step_time = [](const StepPlan&) { return milliseconds(100); };
  }
};

TEST(SchedulerEndTest, AFreePlaceIsFreeNow) {
  SlowRig rig;
  EXPECT_EQ(rig.scheduler.SecondsToFreePlace(rig.now), 0);
  rig.Add(SomePrompt(4, 1), 3);
  rig.RunToEnd();
  EXPECT_EQ(rig.scheduler.SecondsToFreePlace(rig.now), 0);
}

TEST(SchedulerEndTest, BeforeAnythingHasEndedAPlaceComesFreeWhenTheTokensOfTheOneThatRunsAreMade) {
  SlowRig rig;
  rig.Add(SomePrompt(4, 1), 80);
  for (int i = 0; i < 20; ++i) rig.Step();
  EXPECT_NEAR(rig.scheduler.SecondsToFreePlace(rig.now), 6, 1);
  for (int i = 0; i < 40; ++i) rig.Step();
  EXPECT_NEAR(rig.scheduler.SecondsToFreePlace(rig.now), 2, 0.5);
}

TEST(SchedulerEndTest, ADeadlineFreesThePlaceAtTheLatest) {
  SlowRig rig;
  rig.Add(SomePrompt(4, 1), 200, [&](SequenceRequest& request) { request.deadline = rig.now + milliseconds(3000); });
  for (int i = 0; i < 10; ++i) rig.Step();
  EXPECT_NEAR(rig.scheduler.SecondsToFreePlace(rig.now), 2, 0.01);
}

TEST(SchedulerEndTest, OnceRequestsHaveEndedTheOthersAreThoughtToRunAsLong) {
  SlowRig rig;
  for (int i = 0; i < 3; ++i) rig.Add(SomePrompt(4, i), 20);
  rig.RunToEnd();
  rig.Add(SomePrompt(4, 9), 200);
  for (int i = 0; i < 5; ++i) rig.Step();
  EXPECT_NEAR(rig.scheduler.SecondsToFreePlace(rig.now), 1.5, 0.3) << "not the 20 s of its tokens";
  for (int i = 0; i < 45; ++i) rig.Step();
  EXPECT_NEAR(rig.scheduler.SecondsToFreePlace(rig.now), 5, 0.5) << "it has outlived the others by far, and nobody knows by how much";
}

}  // namespace
}  // namespace cllm
