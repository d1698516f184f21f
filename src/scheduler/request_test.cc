#include "scheduler/request.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr RequestState kStates[] = {RequestState::kQueued,    RequestState::kRunning,  RequestState::kFinished,
                                    RequestState::kCancelled, RequestState::kTimedOut, RequestState::kFailed};

TEST(RequestTest, TheTableOfTransitions) {
  // Rows: from; columns: to, both in the order of kStates.
  constexpr bool kAllowed[6][6] = {
      {false, true, false, true, true, true},  // queued
      {false, false, true, true, true, true},  // running
      {false, false, false, false, false, false},
      {false, false, false, false, false, false},
      {false, false, false, false, false, false},
      {false, false, false, false, false, false},
  };
  for (int from = 0; from < 6; ++from) {
    for (int to = 0; to < 6; ++to) {
      EXPECT_EQ(CanTransition(kStates[from], kStates[to]), kAllowed[from][to])
          << RequestStateName(kStates[from]) << " to " << RequestStateName(kStates[to]);
    }
  }
}

TEST(RequestTest, FourStatesAreTerminal) {
  EXPECT_FALSE(IsTerminal(RequestState::kQueued));
  EXPECT_FALSE(IsTerminal(RequestState::kRunning));
  for (int i = 2; i < 6; ++i) EXPECT_TRUE(IsTerminal(kStates[i])) << RequestStateName(kStates[i]);
}

TEST(RequestTest, EveryStateHasItsName) {
  std::set<std::string_view> names;
  for (const RequestState state : kStates) names.insert(RequestStateName(state));
  EXPECT_EQ(names, (std::set<std::string_view>{"queued", "running", "finished", "cancelled", "timed_out", "failed"}));
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
