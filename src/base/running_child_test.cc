#include "base/running_child.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

std::unique_ptr<RunningChild> Start(std::vector<std::string> command, std::vector<int> descriptors = {}) {
  auto child = RunningChild::Start({.command = std::move(command), .descriptors = std::move(descriptors)});
  EXPECT_TRUE(child);
  return child ? std::move(*child) : nullptr;
}

TEST(RunningChildTest, HowItEndedIsKnown) {
  const auto good = Start({"true"});
  EXPECT_TRUE(good->WaitUntil(Clock::now() + std::chrono::seconds(30)));
  EXPECT_EQ(good->how_it_ended(), "exit code 0");
  EXPECT_EQ(kill(good->pid(), 0), -1) << "a zombie is left";
  const auto killed = Start({"sleep", "100"});
  EXPECT_FALSE(killed->has_ended());
  EXPECT_EQ(killed->how_it_ended(), "");
  EXPECT_FALSE(killed->WaitUntil(Clock::now()));
  killed->Signal(SIGTERM);
  EXPECT_TRUE(killed->WaitUntil(Clock::now() + std::chrono::seconds(30)));
  EXPECT_EQ(killed->how_it_ended(), "signal 15 (Terminated)");
  EXPECT_EQ(RunningChild::Start({.command = {"no-such-program-is-there"}}).error().code, ErrorCode::kNotFound);
}

TEST(RunningChildTest, NoneOutlivesItsObject) {
  int pid = 0;
  {
    const auto child = Start({"sleep", "100"});
    pid = child->pid();
    EXPECT_EQ(kill(pid, 0), 0);
    EXPECT_EQ(getpgid(pid), pid);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(RunningChildTest, ItGetsTheFilesThatItIsGivenAndNoOthers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  // Both numbers of this process are 3 or more, perhaps the very ones that the child's have.
  const auto child = Start({"sh", "-c", "exec ls /proc/self/fd >&4"}, {ends[0], ends[1]});
  close(ends[1]);
  std::string text;
  std::array<char, 256> block{};
  for (ssize_t count = 0; (count = read(ends[0], block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(count));
  close(ends[0]);
  EXPECT_EQ(text, "0\n1\n2\n3\n4\n5\n") << "the last is the folder that is listed";
}

}  // namespace
}  // namespace cllm
