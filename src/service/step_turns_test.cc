#include "service/step_turns.h"

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// As if it computed.
void Spin(double seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < until) {
  }
}

TEST(StepTurnsTest, OneStepAtATime) {
  StepTurns turns;
  std::atomic<int> inside = 0;
  std::vector<std::jthread> engines;
  for (int engine = 0; engine < 4; ++engine) {
    engines.emplace_back([&] {
      StepTurns::Member member(&turns);
      for (int step = 0; step < 500; ++step) {
        const StepTurns::Turn turn(member);
        EXPECT_EQ(++inside, 1);
        --inside;
      }
    });
  }
}

// Both always want to compute: who has long steps gets as much time as who has short ones.
TEST(StepTurnsTest, TimeIsSharedNotSteps) {
  constexpr std::array<double, 2> kStepSeconds = {0.008, 0.001};
  StepTurns turns;
  std::atomic<bool> ended = false;
  std::array<std::atomic<int>, 2> steps = {0, 0};
  {
    std::vector<std::jthread> engines;
    for (std::size_t engine = 0; engine < 2; ++engine) {
      engines.emplace_back([&, engine] {
        StepTurns::Member member(&turns);
        while (!ended) {
          const StepTurns::Turn turn(member);
          Spin(kStepSeconds[engine]);
          if (++steps[engine] == 40 && engine == 0) ended = true;
        }
      });
    }
  }
  const double ratio = steps[1] * kStepSeconds[1] / (steps[0] * kStepSeconds[0]);
  EXPECT_GT(ratio, 0.3) << steps[1];
  EXPECT_LT(ratio, 1.5) << steps[1];
}

// The one that comes late has computed far less, and yet has its turn after the other, once it has had a step.
TEST(StepTurnsTest, WhoDidNothingHasNothingToMakeUpFor) {
  StepTurns turns;
  StepTurns::Member busy(&turns), late(&turns), other(&turns);
  const auto compute = [](StepTurns::Member& member, double seconds) {
    const StepTurns::Turn turn(member);
    Spin(seconds);
  };
  for (int step = 0; step < 10; ++step) compute(busy, 0.002);
  compute(late, 0.01);
  std::vector<int> order;
  std::vector<std::jthread> engines;
  {
    const StepTurns::Turn turn(other);
    engines.emplace_back([&] {
      const StepTurns::Turn taken(late);
      order.push_back(2);
    });
    while (turns.waiting() < 1) std::this_thread::yield();
    engines.emplace_back([&] {
      const StepTurns::Turn taken(busy);
      order.push_back(1);
    });
    while (turns.waiting() < 2) std::this_thread::yield();
  }
  engines.clear();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(StepTurnsTest, WhoIsAloneAsksNobody) {
  StepTurns::Member alone(nullptr);
  const StepTurns::Turn turn(alone);
  const StepTurns::Turn another(alone);
}

}  // namespace
}  // namespace cllm
