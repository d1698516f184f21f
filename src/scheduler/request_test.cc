#include "scheduler/request.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr RequestState kStates[] = {RequestState::kQueued,    RequestState::kRunning,  RequestState::kPreempted, RequestState::kFinished,
                                    RequestState::kCancelled, RequestState::kTimedOut, RequestState::kFailed};

TEST(RequestTest, TheTableOfTransitions) {
  // Rows: from; columns: to, both in the order of kStates.
  constexpr bool kAllowed[7][7] = {
      {false, true, false, false, true, true, true},  // queued
      {false, false, true, true, true, true, true},   // running
      {false, true, false, true, true, true, true},   // preempted
      {false, false, false, false, false, false, false}, {false, false, false, false, false, false, false},
      {false, false, false, false, false, false, false}, {false, false, false, false, false, false, false},
  };
  for (int from = 0; from < 7; ++from) {
    for (int to = 0; to < 7; ++to) {
      EXPECT_EQ(CanTransition(kStates[from], kStates[to]), kAllowed[from][to])
          << RequestStateName(kStates[from]) << " to " << RequestStateName(kStates[to]);
    }
  }
}

TEST(RequestTest, FourStatesAreTerminal) {
  EXPECT_FALSE(IsTerminal(RequestState::kQueued));
  EXPECT_FALSE(IsTerminal(RequestState::kRunning));
  EXPECT_FALSE(IsTerminal(RequestState::kPreempted));
  for (int i = 3; i < 7; ++i) EXPECT_TRUE(IsTerminal(kStates[i])) << RequestStateName(kStates[i]);
}

TEST(RequestTest, EveryStateHasItsName) {
  std::set<std::string_view> names;
  for (const RequestState state : kStates) names.insert(RequestStateName(state));
  EXPECT_EQ(names, (std::set<std::string_view>{"queued", "running", "preempted", "finished", "cancelled", "timed_out", "failed"}));
}

TEST(RequestTest, TheFirstSignalStays) {
  RequestControl control;
  EXPECT_EQ(control.signal(), RequestControl::Signal::kNone);
  control.Send(RequestControl::Signal::kStop);
  control.Send(RequestControl::Signal::kCancel);
  EXPECT_EQ(control.signal(), RequestControl::Signal::kStop);
}

}  // namespace
}  // namespace cllm
