#include "chat/interrupts.h"

#include <unistd.h>

#include <array>
#include <utility>

#include <gtest/gtest.h>

namespace cllm {
namespace {

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

TEST(Interrupts, AreTakenOnce) {
  const auto interrupts = Interrupts::Create();
  ASSERT_TRUE(interrupts);
  EXPECT_FALSE((*interrupts)->Take());
  kill(getpid(), SIGINT);
  EXPECT_TRUE((*interrupts)->Take());
  EXPECT_FALSE((*interrupts)->Take());
}

TEST(Interrupts, GoBeforeWhatIsReadable) {
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

TEST(Interrupts, TheEndOfAPipeIsReadable) {
  const auto interrupts = Interrupts::Create();
  Pipe pipe;
  pipe.End();
  EXPECT_TRUE((*interrupts)->WaitReadable(pipe.out()));
}

TEST(EndOnInterrupt, EndsTheProcessWhileItLives) {
  EXPECT_EXIT(
      {
        const auto interrupts = Interrupts::Create();
        const auto end = EndOnInterrupt::Create(**interrupts);
        kill(getpid(), SIGINT);
        while (true) pause();
      },
      testing::ExitedWithCode(130), "");
}

TEST(EndOnInterrupt, IsOverWithItsObject) {
  const auto interrupts = Interrupts::Create();
  {
    const auto end = EndOnInterrupt::Create(**interrupts);
  }
  kill(getpid(), SIGINT);
  EXPECT_TRUE((*interrupts)->Take());
}

}  // namespace
}  // namespace cllm
