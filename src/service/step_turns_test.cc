#include "service/step_turns.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// Time that passes when somebody computes.
class ToyClock {
 public:
  StepTurns::Now Now() {
    return [this] { return TimePoint(std::chrono::nanoseconds(now_ns_)); };
  }
  void Pass(double seconds) {
    now_ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds)).count();
  }

 private:
  std::atomic<std::int64_t> now_ns_ = 1;
};

// Two engines that always want to compute.
struct ToyEngine {
  double step_s;
  double expected_s;
};
using TwoEngines = std::array<ToyEngine, 2>;

// Who computes, turn by turn: the place of an engine of `engines`, until the first has had `most` turns. Between two turns an umpire has
// one of no time, in which it waits until both want to compute again: else who has just computed might come too late to be considered.
std::vector<int> OrderOf(const TwoEngines& engines, int most) {
  ToyClock clock;
  StepTurns turns(clock.Now());
  std::vector<int> order;  // whose turn it is writes it
  std::atomic<bool> ended = false;
  std::vector<std::jthread> threads;
  const auto compute = [&](int number) {
    StepTurns::Member member(&turns);
    const ToyEngine& engine = engines.at(static_cast<std::size_t>(number));
    while (!ended) {
      const StepTurns::Turn turn(member, engine.expected_s);
      if (ended) return;
      order.push_back(number);
      while (turns.waiting() < 2 && !ended) std::this_thread::yield();
      clock.Pass(engine.step_s);
      if (std::ranges::count(order, 0) == most) ended = true;
    }
  };
  const auto watch = [&] {
    StepTurns::Member umpire(&turns);
    while (!ended) {
      const StepTurns::Turn turn(umpire, -1e3);
      while (turns.waiting() < 2 && !ended) std::this_thread::yield();
    }
  };
  StepTurns::Member first(&turns);
  {
    const StepTurns::Turn turn(first, 0);
    for (const int number : {0, 1}) {
      threads.emplace_back(compute, number);
      while (turns.waiting() < static_cast<std::size_t>(number) + 1) std::this_thread::yield();
    }
    threads.emplace_back(watch);
    while (turns.waiting() < 3) std::this_thread::yield();
  }
  threads.clear();
  return order;
}

constexpr double kLong = 1.0, kShort = 1.0 / 64;

TEST(StepTurnsTest, OneStepAtATime) {
  StepTurns turns;
  std::atomic<int> inside = 0;
  std::vector<std::jthread> engines;
  for (int engine = 0; engine < 4; ++engine) {
    engines.emplace_back([&] {
      StepTurns::Member member(&turns);
      for (int step = 0; step < 500; ++step) {
        const StepTurns::Turn turn(member, 0.001 * step);
        EXPECT_EQ(++inside, 1);
        --inside;
      }
    });
  }
}

// A long step begins when the other engine has had as much time as it takes; over any time both have half.
TEST(StepTurnsTest, TimeIsSharedAndALongStepIsNotFirst) {
  const std::vector<int> order = OrderOf({{{kLong, kLong}, {kShort, kShort}}}, 4);
  EXPECT_EQ(std::ranges::find(order, 0) - order.begin(), 63);
  double of_long = 0, of_short = 0;
  for (const int engine : order) {
    (engine == 0 ? of_long : of_short) += engine == 0 ? kLong : kShort;
    EXPECT_LE(of_long, of_short + kLong);
    EXPECT_LE(of_short, of_long + kLong);
  }
}

// What was thought to be short, or what nobody knew anything of, counts by the time that it took.
TEST(StepTurnsTest, WhatTakesLongerThanWasThoughtIsMadeUpFor) {
  for (const double expected_s : {kShort, 0.0}) {
    const std::vector<int> order = OrderOf({{{kLong, expected_s}, {kShort, kShort}}}, 3);
    EXPECT_LE(std::ranges::find(order, 0) - order.begin(), 1);
    EXPECT_NEAR(static_cast<double>(std::ranges::count(order, 1)), 2 * kLong / kShort, 2);
  }
}

TEST(StepTurnsTest, WhatIsShorterThanWasThoughtCountsAsThat) {
  const std::vector<int> order = OrderOf({{{kShort, kLong}, {kShort, kShort}}}, 20);
  // It waits once as long as its step was thought to take, from then on the two have the same share.
  EXPECT_NEAR(static_cast<double>(std::ranges::count(order, 1)), 63 + 19, 2);
}

// The one that comes late has computed far less, and yet has its turn after the other, once it has had a step.
TEST(StepTurnsTest, WhoDidNothingHasNothingToMakeUpFor) {
  ToyClock clock;
  StepTurns turns(clock.Now());
  StepTurns::Member busy(&turns), late(&turns), other(&turns);
  const auto compute = [&](StepTurns::Member& member, double seconds) {
    const StepTurns::Turn turn(member, seconds);
    clock.Pass(seconds);
  };
  for (int step = 0; step < 10; ++step) compute(busy, 0.002);
  compute(late, 0.01);
  std::vector<int> order;
  std::vector<std::jthread> engines;
  const auto wait_for_turn = [&](StepTurns::Member& member, int number) {
    const std::size_t waiting = turns.waiting();
    engines.emplace_back([&, number] {
      const StepTurns::Turn taken(member, 0);
      order.push_back(number);
    });
    while (turns.waiting() == waiting) std::this_thread::yield();
  };
  {
    const StepTurns::Turn turn(other, 0);
    wait_for_turn(late, 2);
    wait_for_turn(busy, 1);
  }
  engines.clear();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(StepTurnsTest, WhoIsAloneAsksNobody) {
  StepTurns::Member alone(nullptr);
  EXPECT_TRUE(alone.is_alone());
  const StepTurns::Turn turn(alone, 1);
  const StepTurns::Turn another(alone, 1);
}

}  // namespace
}  // namespace cllm
