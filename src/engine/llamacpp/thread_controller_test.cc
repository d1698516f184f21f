#include "engine/llamacpp/thread_controller.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// A machine in virtual time on which a server decodes, while others come and go.
class Machine {
 public:
  int cores = 4;
  double step_s = 0.01;  // with one thread
  double change_s = 0;   // of a step with another number of threads than the last
  double noise = 0;      // of a step's time, either way
  bool says_what_is_free = true;
  std::function<double(double)> others = [](double) { return 0.0; };         // busy threads at a time
  bool others_disturb = true;                                                // or else they only seem to
  std::function<double(int)> speedup = [](int threads) { return threads; };  // of so many threads on a quiet machine
  std::vector<int> candidates{4, 3, 2, 1};

  // Decodes until `end` without a pause, beginning with `threads` the first time.
  void RunUntil(double end, int threads = 4) {
    if (!controller_) controller_.emplace(candidates, threads, now_);
    while (now_ < end) Step();
  }
  // A request of so many steps after an idle time.
  void RequestAfter(double pause, int steps) {
    now_ += pause;
    for (int i = 0; i < steps; ++i) Step();
  }

  double now() const { return now_; }
  int threads() const { return controller_->threads(); }
  // The thread numbers of all steps until now, and how often the settled number changed.
  const std::vector<int>& steps() const { return steps_; }
  int switches() const { return switches_; }
  void Forget() {
    steps_.clear();
    switches_ = 0;
  }
  // The part of the time that went into steps with another number of threads than `threads`.
  double ShareOfOthers(int threads) {
    double other_s = 0;
    double all_s = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      all_s += times_[times_.size() - steps_.size() + i];
      if (steps_[i] != threads) other_s += times_[times_.size() - steps_.size() + i];
    }
    return other_s / all_s;
  }

 private:
  void Step() {
    if (now_ - observed_at_ >= 1) {
      if (says_what_is_free) controller_->ObserveFree(now_, now_ - observed_at_, cores - taken_ / std::max(1, taken_steps_));
      observed_at_ = now_;
      taken_ = 0;
      taken_steps_ = 0;
    }
    const int before = controller_->threads();
    const int threads = controller_->Begin(now_);
    const double share = std::min(1.0, cores / (threads + others(now_)));
    taken_ += others(now_) * share;
    ++taken_steps_;
    // Where there isn't a core for each, all wait at every barrier for the thread that shares one.
    const double held_up = !others_disturb || share == 1 ? 1 : threads == 1 ? share : 0.3 * share;
    const double speed = speedup(threads) * held_up;
    const double work = work_(random_);
    const double change = steps_.empty() || steps_.back() == threads ? 0 : change_s;
    const double seconds = change + work * step_s / speed * (1 + noise * noise_(random_));
    now_ += seconds;
    controller_->End(now_, work * slowness_);
    // As the scheduler learns.
    slowness_ = slowness_ == 0 ? seconds / work : slowness_ + 0.05 * (seconds / work - slowness_);
    steps_.push_back(threads);
    times_.push_back(seconds);
    if (controller_->threads() != before) ++switches_;
  }

  std::optional<ThreadController> controller_;
  double now_ = 0;
  double observed_at_ = 0;
  double taken_ = 0;
  int taken_steps_ = 0;
  double slowness_ = 0;
  int switches_ = 0;
  std::vector<int> steps_;
  std::vector<double> times_;
  std::mt19937 random_{7};
  std::uniform_real_distribution<double> work_{0.7, 1.5};  // batches are not alike
  std::uniform_real_distribution<double> noise_{-1, 1};
};

std::function<double(double)> Between(double from, double to, double load) {
  return [=](double now) { return now >= from && now < to ? load : 0; };
}

TEST(ThreadController, TriesNothingOnAQuietMachine) {
  Machine machine;
  machine.noise = 0.3;
  machine.RunUntil(600);
  EXPECT_TRUE(std::ranges::all_of(machine.steps(), [](int threads) { return threads == 4; }));
}

class ThreadControllerLoadTest : public testing::TestWithParam<double> {};

TEST_P(ThreadControllerLoadTest, GivesWayToALoadAndComesBackWithinAMinute) {
  for (const double noise : {0.0, 0.3}) {
    for (const double step_s : {0.004, 0.05, 1.0}) {
      Machine machine;
      machine.noise = noise;
      machine.step_s = step_s;
      machine.others = Between(30, 150, GetParam());
      machine.RunUntil(90);
      EXPECT_LT(machine.threads(), 4) << noise << " " << step_s;
      machine.RunUntil(150);
      EXPECT_LT(machine.threads(), 4) << noise << " " << step_s;
      machine.RunUntil(210);
      EXPECT_EQ(machine.threads(), 4) << noise << " " << step_s;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Loads, ThreadControllerLoadTest, testing::Values(2, 4, 8));

TEST(ThreadController, AServerThatStartedBesideALoadIsNotStuck) {
  Machine machine;
  machine.noise = 0.3;
  machine.others = Between(0, 40, 4);
  machine.RunUntil(40, 1);
  machine.RunUntil(100);
  EXPECT_EQ(machine.threads(), 4);
}

TEST(ThreadController, DoesNotFollowEveryTurnOfALoadThatComesAndGoes) {
  for (const double period : {0.5, 2.0, 6.0, 20.0}) {
    Machine machine;
    machine.noise = 0.3;
    machine.others = [=](double now) { return std::fmod(now, period) < period / 2 ? 4.0 : 0.0; };
    machine.RunUntil(60);
    machine.Forget();
    machine.RunUntil(660);
    EXPECT_LE(machine.switches(), 40) << period;  // 300 turns of 2 s would be 600
  }
}

TEST(ThreadController, SettlesUnderALoadThatStays) {
  for (const double load : {0.3, 0.5, 1.0, 1.5, 2.0, 3.0}) {
    Machine machine;
    machine.noise = 0.3;
    machine.others = [=](double) { return load; };
    machine.RunUntil(60);
    machine.Forget();
    machine.RunUntil(660);
    EXPECT_LE(machine.switches(), 4) << load;
    EXPECT_LT(machine.ShareOfOthers(machine.threads()), 0.01) << load;
  }
}

TEST(ThreadController, KeepsItsThreadsBesideALoadThatDoesNotDisturb) {
  Machine machine;
  machine.noise = 0.3;
  machine.others = [](double) { return 4.0; };
  machine.others_disturb = false;
  machine.RunUntil(300);
  EXPECT_EQ(machine.threads(), 4);
  EXPECT_EQ(machine.switches(), 0);
}

// Cores that are halves of one: two threads are faster than four, and the warm-up has found that out.
TEST(ThreadController, StaysWithFewerWhereTheyAreFaster) {
  for (const double step_s : {0.01, 0.5}) {
    Machine machine;
    machine.noise = 0.3;
    machine.step_s = step_s;
    machine.speedup = [](int threads) { return threads == 4 ? 1.5 : std::min(threads, 2); };
    machine.RunUntil(120, 2);
    machine.Forget();
    machine.RunUntil(3720);
    EXPECT_EQ(machine.threads(), 2);
    EXPECT_EQ(machine.switches(), 0);
    EXPECT_LT(machine.ShareOfOthers(2), 0.005) << step_s;
  }
}

TEST(ThreadController, FindsItsWayWhereTheSystemSaysNothing) {
  for (const double step_s : {0.01, 0.2}) {
    Machine machine;
    machine.noise = 0.3;
    machine.step_s = step_s;
    machine.says_what_is_free = false;
    machine.others = Between(1920, 2100, 4);
    machine.RunUntil(120);
    machine.Forget();
    machine.RunUntil(1920);
    EXPECT_EQ(machine.threads(), 4) << step_s;
    EXPECT_LE(machine.switches(), 2) << step_s;
    EXPECT_LT(machine.ShareOfOthers(4), 0.006) << step_s;
    machine.RunUntil(2100);
    EXPECT_TRUE(machine.threads() < 4 || step_s > 0.1);  // what is slow is tried seldom
    machine.RunUntil(2280);                              // one number at a time
    EXPECT_EQ(machine.threads(), 4) << step_s;
  }
}

TEST(ThreadController, ShortRequestsAfterAnHourFindAllThreads) {
  Machine machine;
  machine.others = Between(0, 100, 4);
  machine.RunUntil(60);
  ASSERT_LT(machine.threads(), 4);
  machine.RequestAfter(3600, 20);
  machine.RequestAfter(30, 20);
  machine.RequestAfter(30, 20);
  EXPECT_EQ(machine.threads(), 4);
}

TEST(ThreadController, LooksAwayFromALoadOfAMoment) {
  Machine machine;
  machine.others = [](double now) { return std::fmod(now, 10) < 0.9 ? 4.0 : 0.0; };
  machine.RunUntil(300);
  EXPECT_TRUE(std::ranges::all_of(machine.steps(), [](int threads) { return threads == 4; }));
}

TEST(ThreadController, WhatAChangeCostsIsNotHeldAgainstIt) {
  Machine machine;
  machine.change_s = 0.1;
  machine.others = Between(0, 40, 4);
  machine.RunUntil(40, 1);
  machine.RunUntil(60);
  EXPECT_EQ(machine.threads(), 4);
}

TEST(ThreadController, RequestsOfOneStepStartNoTrial) {
  Machine machine;
  machine.others = Between(0, 100, 4);
  machine.RunUntil(60);
  const int fewer = machine.threads();
  machine.Forget();
  for (int i = 0; i < 100; ++i) machine.RequestAfter(2, 1);
  EXPECT_TRUE(std::ranges::all_of(machine.steps(), [&](int threads) { return threads == fewer; }));
}

// So that the median of nine steps, by which the scheduler follows the machine's speed, is never one of another number of threads.
TEST(ThreadController, ATrialIsTheLesserPartOfAnyNineSteps) {
  Machine machine;
  machine.noise = 0.3;
  machine.others = [](double) { return 4.0; };
  machine.others_disturb = false;  // fewer are tried in vain
  machine.RunUntil(100);
  const std::vector<int>& steps = machine.steps();
  int most = 0;
  for (std::size_t i = 0; i + 9 <= steps.size(); ++i) {
    most = std::max(most, static_cast<int>(std::count_if(steps.begin() + i, steps.begin() + i + 9, [](int n) { return n != 4; })));
  }
  EXPECT_LE(most, 4);
}

// Nothing is compared that nobody expected anything of.
TEST(ThreadController, TriesNothingWithoutExpectations) {
  ThreadController controller({2, 1}, 2, 0);
  double now = 0;
  for (int i = 0; i < 1000; ++i) {
    controller.ObserveFree(now, 1, 0);
    EXPECT_EQ(controller.Begin(now), 2);
    controller.End(now += 0.1, 0);
  }
}

TEST(ThreadController, ATrialOfWhichNothingCanBeToldEnds) {
  ThreadController controller({2, 1}, 2, 0);
  double now = 0;
  int tried = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) controller.ObserveFree(now, 1, 0);
    controller.Begin(now);
    tried += controller.is_trying() ? 1 : 0;
    controller.End(now += 0.01, tried == 0 ? 0.01 : 0);
  }
  EXPECT_EQ(tried, 150);
}

TEST(ThreadController, OneCandidateIsAllThereIs) {
  ThreadController controller({1}, 1, 0);
  double now = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i % 2 == 0) controller.ObserveFree(now, 1, i % 3);
    EXPECT_EQ(controller.Begin(now), 1);
    controller.End(now += 0.1, 0.1);
  }
}

}  // namespace
}  // namespace cllm
