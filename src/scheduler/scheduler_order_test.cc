// Who comes first, and how much of a prompt goes into a step beside answers that run.
#include <algorithm>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "scheduler/scheduler.h"
#include "scheduler/testing_rig.h"

namespace cllm {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::seconds;

FakeEngineOptions OneAtATime() { return {.max_sequences = 1, .max_step_tokens = 64, .max_context = 4096}; }

// A step takes 10 ms and 1 ms for each row.
TimePoint::duration TimeOf(const StepPlan& plan) { return milliseconds(10) + milliseconds(1) * static_cast<int>(plan.tokens.size()); }

// Of it, on an engine that computes prompts apart.
TimePoint::duration PromptTimeOf(const StepPlan& plan) {
  TimePoint::duration time{};
  const bool has_decodes = !plan.sequences.empty() && plan.sequences.front().rows == 1;
  for (const SequenceWork& work : plan.sequences) time += milliseconds(has_decodes && work.rows > 1 ? work.rows : 0);
  return time;
}

// Decodes become slower as their contexts grow.
double DecodesSeconds(const StepPlan& plan) {
  double time_s = 0.01;
  for (const SequenceWork& work : plan.sequences) time_s += work.rows == 1 ? 0.001 + 2e-5 * work.computed : 0;
  return time_s;
}

TimePoint::duration TimeThatGrows(const StepPlan& plan) {
  double time_s = DecodesSeconds(plan);
  for (const SequenceWork& work : plan.sequences) time_s += work.rows > 1 ? 0.001 * work.rows : 0;
  return std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(time_s));
}

class SchedulerOrderTest : public testing::Test {
 protected:
  static std::function<void(SequenceRequest&)> Arriving(TimePoint when, int priority = 0) {
    return [=](SequenceRequest& request) {
      request.arrived = when;
      request.priority = priority;
    };
  }

  // On an engine of one pass or of two, in steps that take TimeOf.
  struct Rig : SchedulerRig {
    Rig(const FakeEngineOptions& options, bool prompts_apart, int target_ms = 0)
        : SchedulerRig(options, {.target_step_ms = target_ms}, Capabilities(options, prompts_apart)) {
      step_time = TimeOf;
      if (prompts_apart) prompt_time = PromptTimeOf;
    }
    static EngineCapabilities Capabilities(const FakeEngineOptions& options, bool prompts_apart) {
      EngineCapabilities capabilities = FakeEngine(options).capabilities();
      capabilities.computes_prompts_apart = prompts_apart;
      return capabilities;
    }
  };
};

TEST_F(SchedulerOrderTest, APriorityIsAHeadStartOfThatManySeconds) {
  SchedulerRig rig(OneAtATime());
  const TimePoint start = rig.now;
  const RequestId running = rig.Add(SomePrompt(4, 1), 4, Arriving(start));
  rig.Step();
  const RequestId first = rig.Add(SomePrompt(4, 2), 2, Arriving(start + seconds(1)));
  const RequestId low = rig.Add(SomePrompt(4, 3), 2, Arriving(start + seconds(1), -2));
  const RequestId soon = rig.Add(SomePrompt(4, 4), 2, Arriving(start + seconds(2), 2));
  const RequestId later = rig.Add(SomePrompt(4, 5), 2, Arriving(start + seconds(2)));
  const RequestId much_later = rig.Add(SomePrompt(4, 6), 2, Arriving(start + seconds(4)));
  rig.RunToEnd();
  EXPECT_EQ(rig.start_order, (std::vector<RequestId>{running, soon, first, later, low, much_later}))
      << "low comes before what arrived more than two seconds after it";
}

TEST_F(SchedulerOrderTest, EqualTurnsAreServedAsTheyCame) {
  SchedulerRig rig(OneAtATime());
  for (int salt = 0; salt < 5; ++salt) rig.Add(SomePrompt(4, salt), 2, Arriving(rig.now, 3));
  rig.RunToEnd();
  EXPECT_TRUE(std::ranges::is_sorted(rig.start_order));
}

// Once steps have been measured, a long prompt that came a moment before lets a short one pass, and no more than that.
TEST_F(SchedulerOrderTest, AShortPromptPassesALongOneThatCameAMomentBefore) {
  SchedulerRig rig(OneAtATime());
  rig.step_time = TimeOf;
  for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(50 + 40 * salt, salt), 5, Arriving(rig.now));
  rig.RunToEnd();
  rig.Add(SomePrompt(4, 10), 4, Arriving(rig.now));
  rig.Step();
  const TimePoint start = rig.now;
  const RequestId long_one = rig.Add(SomePrompt(2000, 11), 2, Arriving(start));
  const RequestId short_one = rig.Add(SomePrompt(10, 12), 2, Arriving(start + milliseconds(500)));
  const RequestId late_one = rig.Add(SomePrompt(10, 13), 2, Arriving(start + seconds(4)));
  rig.RunToEnd();
  const std::vector<RequestId> last(rig.start_order.end() - 3, rig.start_order.end());
  EXPECT_EQ(last, (std::vector<RequestId>{short_one, long_one, late_one}));
}

TEST_F(SchedulerOrderTest, AtMostOnePromptIsPartlyComputed) {
  SchedulerRig rig({.max_sequences = 6, .max_step_tokens = 20, .max_context = 256});
  std::vector<RequestId> ids;
  for (int salt = 0; salt < 6; ++salt) ids.push_back(rig.Add(SomePrompt(25 + salt, salt), 3, Arriving(rig.now)));
  std::vector<int> computed(6, 0);
  while (rig.scheduler.HasWork()) {
    for (const SequenceWork& work : rig.Step().sequences) computed.at(work.slot) = work.computed + work.rows;
    int partly = 0;
    for (int i = 0; i < 6; ++i) {
      const bool has_all = computed[i] >= 25 + i;  // each has the slot of its number: all start at once
      if (computed[i] > 0 && !has_all) ++partly;
    }
    EXPECT_LE(partly, 1);
  }
  for (int i = 0; i < 6; ++i) EXPECT_EQ(rig.tokens(ids[i]), FakeAnswer(SomePrompt(25 + i, i), 3));
}

// The long one is begun; a short one that fits goes beside it, one that doesn't waits.
TEST_F(SchedulerOrderTest, BesideABegunPromptOnlyWholeOnesGoIn) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 20, .max_context = 256});
  rig.Add(SomePrompt(100, 1), 2, Arriving(rig.now));
  rig.Step();
  rig.Add(SomePrompt(30, 2), 2, Arriving(rig.now - seconds(2)));
  rig.Add(SomePrompt(6, 3), 2, Arriving(rig.now - seconds(1)));
  const StepPlan plan = rig.Step();
  ASSERT_EQ(plan.sequences.size(), 2U);
  EXPECT_EQ(plan.sequences[0].rows, 6);
  EXPECT_EQ(plan.sequences[1].rows, 14);
  EXPECT_EQ(plan.sequences[1].slot, 0);
  rig.RunToEnd();
}

TEST_F(SchedulerOrderTest, ChunksBesideDecodesKeepToTheTarget) {
  struct Case {
    bool prompts_apart;
    int target_ms;
    double target_s;  // three decodes alone take 13 ms
  };
  for (const auto& [prompts_apart, target_ms, target] :
       {Case{false, 0, 1.75 * 0.013}, {true, 0, 2.2 * 0.013}, {false, 60, 0.06}, {true, 60, 0.06}}) {
    Rig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 4096}, prompts_apart, target_ms);
    for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(10 + 10 * salt, salt), 300, Arriving(rig.now));
    for (int step = 0; step < 20; ++step) rig.Step();
    EXPECT_EQ(rig.scheduler.target_step_s() > 0, true);
    rig.Add(SomePrompt(3000, 9), 2, Arriving(rig.now));
    std::vector<double> times;
    do {
      const StepPlan plan = rig.Step();
      if (plan.sequences.size() == 4) times.push_back(std::chrono::duration<double>(TimeOf(plan)).count());
    } while (rig.scheduler.running() == 4);
    ASSERT_GT(times.size(), 40U);
    const std::vector<double> learned(times.begin() + 20, times.end() - 2);
    EXPECT_LE(std::ranges::max(learned), 1.1 * target) << target_ms << prompts_apart;
    EXPECT_GE(std::ranges::min(learned), 0.85 * target) << target_ms << prompts_apart;
    rig.RunToEnd();
  }
}

// Decodes take longer as their contexts grow; the gaps of their streams stay what they were when the prompt's first chunk came, until
// the prompt would get less than a third of the time.
TEST_F(SchedulerOrderTest, StepsStayEvenWhileAPromptIsCut) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 9000});
  rig.step_time = TimeThatGrows;
  for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(10 + 10 * salt, salt), 4000, Arriving(rig.now));
  for (int step = 0; step < 60; ++step) rig.Step();
  const double first_target = 1.75 * DecodesSeconds(rig.Step());
  rig.Add(SomePrompt(8000, 9), 2, Arriving(rig.now));
  std::vector<double> targets;
  double slowest_decodes = 0;
  for (StepPlan plan = rig.Step(); rig.scheduler.running() == 4 && plan.sequences.back().rows > 1; plan = rig.Step()) {
    targets.push_back(rig.scheduler.target_step_s());
    slowest_decodes = DecodesSeconds(plan);
  }
  ASSERT_GT(slowest_decodes, 1.5 * first_target) << "by a target that follows the decodes steps would become this slow";
  ASSERT_GT(targets.size(), 200U);
  for (std::size_t step = 0; step < 200; ++step) ASSERT_NEAR(targets[step] / first_target, 1, 0.05) << step;
  EXPECT_TRUE(std::ranges::is_sorted(targets)) << "from then on it follows the slowest decodes";
  EXPECT_GT(targets.back(), 1.2 * first_target);
}

// One prompt ends in the step in which the next one begins: there is always one that is cut.
TEST_F(SchedulerOrderTest, EachPromptThatIsCutHasATargetOfItsOwn) {
  for (const bool prompts_apart : {false, true}) {
    Rig rig({.max_sequences = 10, .max_step_tokens = 500, .max_context = 4096}, prompts_apart);
    for (int salt = 0; salt < 9; ++salt) rig.Add(SomePrompt(900, 10 + salt), 12, Arriving(rig.now));
    int steps = 0;
    for (; rig.scheduler.HasWork(); ++steps) rig.Step();
    // 8,100 rows of prompts in steps that take 17 times as long as one that decodes alone, or twice as long as those of the last four.
    EXPECT_LT(steps, 250) << prompts_apart;
    rig.RunToEnd();
  }
}

// Where more prompts come, what was set for one no longer holds.
TEST_F(SchedulerOrderTest, TheTargetIsSetAnewWhenMorePromptsWait) {
  Rig rig({.max_sequences = 10, .max_step_tokens = 500, .max_context = 4096}, /*prompts_apart=*/false);
  for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(10 + 10 * salt, salt), 300, Arriving(rig.now));
  for (int step = 0; step < 20; ++step) rig.Step();
  rig.Add(SomePrompt(3000, 9), 2, Arriving(rig.now));
  for (int step = 0; step < 20; ++step) rig.Step();
  EXPECT_NEAR(rig.scheduler.target_step_s(), 1.75 * 0.013, 0.002);
  for (int salt = 0; salt < 6; ++salt) rig.Add(SomePrompt(3000, 20 + salt), 2, Arriving(rig.now));
  rig.Step();
  EXPECT_NEAR(rig.scheduler.target_step_s(), (1 + 2 * 7 / 3.0) * 0.013, 0.006);
}

// Half a second in all; what is longer is cut.
TEST_F(SchedulerOrderTest, ShortPromptsGoInAsAWholeUnlessATimeIsSet) {
  for (const int target_ms : {0, 60}) {
    SchedulerRig rig({.max_sequences = 8, .max_step_tokens = 600, .max_context = 4096}, {.target_step_ms = target_ms});
    rig.step_time = TimeOf;
    for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(10 + 10 * salt, salt), 300, Arriving(rig.now));
    for (int step = 0; step < 20; ++step) rig.Step();
    rig.Add(SomePrompt(230, 7), 2, Arriving(rig.now));
    rig.Add(SomePrompt(231, 8), 2, Arriving(rig.now + milliseconds(1)));
    rig.Add(SomePrompt(232, 9), 2, Arriving(rig.now + milliseconds(2)));
    const StepPlan plan = rig.Step();
    const auto rows = static_cast<int>(plan.tokens.size());
    if (target_ms == 0) {
      EXPECT_GE(rows, 3 + 230 + 231) << "two of them take 474 ms, the third would have been too much";
      EXPECT_LE(rows, 3 + 230 + 231 + 30);
    } else {
      EXPECT_LE(rows, 56);
    }
    rig.RunToEnd();
  }
}

// One decodes in 11 ms, nine wait with prompts that are too long to go in whole, for each of them twice that: 209 ms.
TEST_F(SchedulerOrderTest, ManyThatWaitGetMoreOfTheTime) {
  SchedulerRig rig({.max_sequences = 10, .max_step_tokens = 500, .max_context = 4096});
  rig.step_time = TimeOf;
  for (int salt = 0; salt < 3; ++salt) rig.Add(SomePrompt(10 + 10 * salt, salt), 30, Arriving(rig.now));
  while (rig.scheduler.HasWork()) rig.Step();
  rig.Add(SomePrompt(10, 4), 300, Arriving(rig.now));
  for (int step = 0; step < 30; ++step) rig.Step();
  for (int salt = 0; salt < 9; ++salt) rig.Add(SomePrompt(600, 10 + salt), 2, Arriving(rig.now));
  EXPECT_NEAR(static_cast<double>(rig.Step().tokens.size()), 199, 10);
  rig.RunToEnd();
}

TEST_F(SchedulerOrderTest, WithoutDecodesAPromptGetsTheWholeStep) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 4096}, {.target_step_ms = 12});
  rig.step_time = TimeOf;
  rig.Add(SomePrompt(1000, 1), 2, Arriving(rig.now));
  for (int step = 0; step < 5; ++step) EXPECT_EQ(rig.Step().tokens.size(), 200U);
  rig.RunToEnd();
}

TEST_F(SchedulerOrderTest, AChunkIsNeverTinyHoweverLowTheTarget) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 4096}, {.target_step_ms = 1});
  rig.step_time = TimeOf;
  rig.Add(SomePrompt(10, 1), 100, Arriving(rig.now));
  for (int step = 0; step < 5; ++step) rig.Step();
  rig.Add(SomePrompt(100, 2), 2, Arriving(rig.now));
  EXPECT_EQ(rig.Step().tokens.size(), 4U) << "one decode, three rows of the prompt";
  rig.RunToEnd();
}

// A step that fails ends at once: that is not how fast the engine is.
TEST_F(SchedulerOrderTest, NothingIsLearnedFromAStepThatFailed) {
  constexpr TokenId kPoison = 0;
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 4096, .poison_token = kPoison});
  bool fails = false;
  rig.step_time = [&](const StepPlan& plan) { return fails ? TimePoint::duration(microseconds(10)) : TimeOf(plan); };
  for (int salt = 0; salt < 2; ++salt) rig.Add(SomePrompt(30 + 20 * salt, salt), 100, Arriving(rig.now));
  for (int step = 0; step < 20; ++step) rig.Step();
  const double before = rig.scheduler.predicted_step_s();
  EXPECT_NEAR(before, 0.012, 0.001);
  fails = true;
  const RequestId poisoned = rig.Add({kPoison}, 5, Arriving(rig.now));
  rig.Step();
  EXPECT_EQ(rig.end(poisoned).state, RequestState::kFailed);
  fails = false;
  rig.Step();
  EXPECT_NEAR(rig.scheduler.predicted_step_s(), before, 0.001);
  rig.RunToEnd();
}

// Before the plan is made it is known about how long its step takes: what others have to wait for.
TEST_F(SchedulerOrderTest, AStepIsForecast) {
  SchedulerRig rig({.max_sequences = 4, .max_step_tokens = 200, .max_context = 4096});
  rig.step_time = TimeOf;
  EXPECT_EQ(rig.scheduler.ForecastStep(), 0);
  const auto expect_good = [&](const char* what) {
    const double forecast = rig.scheduler.ForecastStep();
    rig.Step();
    EXPECT_NEAR(forecast, rig.scheduler.predicted_step_s(), 0.05 * forecast) << what;
  };
  for (int salt = 0; salt < 3; ++salt) {
    rig.Add(SomePrompt(30 + 50 * salt, salt), 5, Arriving(rig.now));
    rig.RunToEnd();
  }
  EXPECT_EQ(rig.scheduler.ForecastStep(), 0) << "there is nothing to do";
  rig.Add(SomePrompt(500, 7), 20, Arriving(rig.now));
  expect_good("a piece of a prompt that waits");
  expect_good("another one of a prompt that runs");
  while (rig.scheduler.computed_tokens() < 500) rig.Step();
  expect_good("a decode");
  rig.Add(SomePrompt(2000, 8), 20, Arriving(rig.now));
  EXPECT_LE(rig.scheduler.ForecastStep(), 0.5) << "a decode with what its pace leaves to a prompt";
  rig.RunToEnd();
}

TEST_F(SchedulerOrderTest, AQueueTimeoutEndsOnlyWhatWaits) {
  SchedulerRig rig(OneAtATime());
  const auto until = [&](TimePoint when) { return [=](SequenceRequest& request) { request.start_by = when; }; };
  const RequestId running = rig.Add(SomePrompt(4, 1), 50, until(rig.now + milliseconds(10)));
  rig.Step();
  const RequestId waiting = rig.Add(SomePrompt(4, 2), 5, until(rig.now + milliseconds(10)));
  rig.now += milliseconds(9);
  rig.Step();
  EXPECT_FALSE(rig.ended(waiting));
  rig.now += milliseconds(1);
  rig.Step();
  EXPECT_EQ(rig.end(waiting).state, RequestState::kTimedOut);
  EXPECT_EQ(rig.end(waiting).error.message, "no place became free in the time that a request may wait (scheduler.queue_timeout)");
  rig.RunToEnd();
  EXPECT_EQ(rig.end(running).state, RequestState::kFinished);
}

}  // namespace
}  // namespace cllm
