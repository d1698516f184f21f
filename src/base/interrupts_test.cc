#include "base/interrupts.h"

#include <unistd.h>

#include <array>
#include <utility>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// Whatever started the tests may have them ignore SIGINT.
class InterruptsTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = signal(SIGINT, SIG_DFL); }
  void TearDown() override { signal(SIGINT, before_); }

 private:
  sighandler_t before_ = SIG_DFL;
};

using EndOnInterruptTest = InterruptsTest;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe(ends_.data()), 0); }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int out() const { return ends_[0]; }
  void Fill() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  void End() { close(std::exchange(ends_[1], -1)); }

 private:
  std::array<int, 2> ends_{};
};

TEST_F(InterruptsTest, AreTakenOnce) {
  const auto interrupts = Interrupts::Create();
  ASSERT_TRUE(interrupts);
  EXPECT_FALSE((*interrupts)->Take());
  kill(getpid(), SIGINT);
  EXPECT_TRUE((*interrupts)->Take());
  EXPECT_FALSE((*interrupts)->Take());
}

TEST_F(InterruptsTest, GoBeforeWhatIsReadable) {
  const auto interrupts = Interrupts::Create();
  const Pipe pipe;
  pipe.Fill();
  EXPECT_TRUE((*interrupts)->WaitReadable(pipe.out()));
  kill(getpid(), SIGINT);
  EXPECT_FALSE((*interrupts)->WaitReadable(pipe.out()));
  EXPECT_TRUE((*interrupts)->WaitReadable(pipe.out()));
  kill(getpid(), SIGINT);
  EXPECT_FALSE((*interrupts)->WaitReadable(-1));
}

TEST_F(InterruptsTest, TheEndOfAPipeIsReadable) {
  const auto interrupts = Interrupts::Create();
  Pipe pipe;
  pipe.End();
  EXPECT_TRUE((*interrupts)->WaitReadable(pipe.out()));
}

TEST_F(InterruptsTest, AWaitEndsEarly) {
  const auto interrupts = Interrupts::Create();
  ASSERT_TRUE(interrupts);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE((*interrupts)->WaitFor(std::chrono::milliseconds(20)));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
  kill(getpid(), SIGINT);
  EXPECT_TRUE((*interrupts)->WaitFor(std::chrono::hours(10'000)));
}

TEST_F(InterruptsTest, OneThatNobodyTookIsUsedUp) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const auto interrupts = Interrupts::Create();
    kill(getpid(), SIGINT);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
  EXPECT_FALSE((*Interrupts::Create())->Take()) << "and the process lives";
}

TEST_F(InterruptsTest, WhatIsIgnoredStaysIgnored) {
  signal(SIGINT, SIG_IGN);
  const auto interrupts = Interrupts::Create();
  kill(getpid(), SIGINT);
  EXPECT_FALSE((*interrupts)->Take());
  EXPECT_FALSE((*interrupts)->WaitFor(std::chrono::milliseconds(1)));
}

TEST_F(EndOnInterruptTest, EndsTheProcessWhileItLives) {
  EXPECT_EXIT(
      {
        const auto interrupts = Interrupts::Create();
        const auto end = EndOnInterrupt::Create(**interrupts);
        kill(getpid(), SIGINT);
        while (true) pause();
      },
      testing::ExitedWithCode(130), "");
}

TEST_F(EndOnInterruptTest, IsOverWithItsObject) {
  const auto interrupts = Interrupts::Create();
  {
    const auto end = EndOnInterrupt::Create(**interrupts);
  }
  kill(getpid(), SIGINT);
  EXPECT_TRUE((*interrupts)->Take());
}

}  // namespace
}  // namespace cllm
