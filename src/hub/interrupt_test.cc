#include "hub/interrupt.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// Whatever started the tests may have them ignore SIGINT.
class InterruptSignalTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = signal(SIGINT, SIG_DFL); }
  void TearDown() override { signal(SIGINT, before_); }

 private:
  sighandler_t before_ = SIG_DFL;
};

TEST_F(InterruptSignalTest, IsSeenAndUsedUp) {
  {
    InterruptSignal interrupt;
    EXPECT_FALSE(interrupt.Interrupted());
    raise(SIGINT);
    EXPECT_TRUE(interrupt.Interrupted());
    EXPECT_TRUE(interrupt.Interrupted()) << "asking does not use it up";
    interrupt.Wait(hours(1));  // returns at once
  }
  InterruptSignal later;  // and the process lives
  EXPECT_FALSE(later.Interrupted());
}

TEST_F(InterruptSignalTest, WaitsAsLongAsItIsTold) {
  InterruptSignal interrupt;
  const auto start = std::chrono::steady_clock::now();
  interrupt.Wait(milliseconds(20));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(20));
}

TEST_F(InterruptSignalTest, TheMaskIsAsBefore) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    InterruptSignal interrupt;
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
}

TEST_F(InterruptSignalTest, WhatIsIgnoredStaysIgnored) {
  signal(SIGINT, SIG_IGN);
  InterruptSignal interrupt;
  raise(SIGINT);
  EXPECT_FALSE(interrupt.Interrupted());
}

}  // namespace
}  // namespace cllm
