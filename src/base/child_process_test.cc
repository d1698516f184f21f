#include "base/child_process.h"

#include <signal.h>

#include <gtest/gtest.h>

namespace cllm {
namespace {

ChildResult Shell(const std::string& script, ChildOptions options = {}) {
  options.command = {"/bin/sh", "-c", script};
  auto result = RunChild(options);
  EXPECT_TRUE(result) << result.error().message;
  return result.value_or(ChildResult{});
}

TEST(ChildProcessTest, ReportsExitCodeAndBothOutputs) {
  const ChildResult result = Shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.signal, 0);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.output, "out\nerr\n");
}

TEST(ChildProcessTest, ReportsTheSignal) {
  const ChildResult result = Shell("echo before; kill -SEGV $$");
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_EQ(result.exit_code, -1);
  EXPECT_EQ(result.output, "before\n");
}

TEST(ChildProcessTest, KillsWhatTakesTooLong) {
  const ChildResult result = Shell("echo begun; exec sleep 600", {.timeout = std::chrono::seconds(2)});
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.signal, SIGKILL);
  EXPECT_EQ(result.output, "begun\n");
}

TEST(ChildProcessTest, KeepsTheEndOfALongOutput) {
  const ChildResult result = Shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", {.most_output_bytes = 100});
  EXPECT_EQ(result.output.size(), 100U);
  EXPECT_TRUE(result.output.ends_with("line 2998\nline 2999\n"));
}

TEST(ChildProcessTest, StandardInputIsEmptyAndOtherFilesAreClosed) {
  const ChildResult result = Shell("cat; ls /proc/self/fd | wc -l");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "4\n");  // 0, 1, 2 and the one that ls reads
}

TEST(ChildProcessTest, AddsToTheEnvironmentAndReplaces) {
  const ChildResult result =
      Shell("echo $CLLM_TEST_X; echo ${PATH:-none} | wc -c", {.environment = {"CLLM_TEST_X=7", "PATH=/bin:/usr/bin"}});
  EXPECT_EQ(result.output, "7\n14\n");
}

TEST(ChildProcessTest, BlockedAndIgnoredSignalsAreNotInherited) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old = signal(SIGPIPE, SIG_IGN);
  const ChildResult result = Shell("kill -TERM $$; echo survived");
  const ChildResult pipe = Shell("kill -PIPE $$; echo survived");
  signal(SIGPIPE, old);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_EQ(pipe.signal, SIGPIPE);
}

TEST(ChildProcessTest, SaysWhatCannotBeStarted) {
  for (const char* program : {"/none/of/this", "cllm-no-such-program"}) {
    const auto result = RunChild({.command = {program}});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
    EXPECT_NE(result.error().message.find(std::string("cannot start ") + program), std::string::npos);
  }
}

TEST(ChildProcessTest, AProgramIsLookedUpInPath) {
  const auto result = RunChild({.command = {"sh", "-c", "exit 4"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 4);
}

// Standard output as it comes, errors kept.
class ReadChildTest : public ::testing::Test {
 protected:
  Result<ChildResult> Shell(const std::string& script) {
    return RunChild({.command = {"sh", "-c", script},
                     .timeout = std::nullopt,
                     .on_output = [this](std::string_view bytes) -> Status {
                       out_ += bytes;
                       if (full_) return Fail(ErrorCode::kTooLarge, "full");
                       return {};
                     },
                     .on_tick = [this]() -> Status {
                       if (interrupted_) return Fail(ErrorCode::kCancelled, "interrupted");
                       return {};
                     }});
  }
  std::string out_;
  bool full_ = false;
  bool interrupted_ = false;
};

TEST_F(ReadChildTest, OutputErrorsAndExitCode) {
  const auto result = Shell("printf abc; echo first >&2; echo 'the last one' >&2; exit 3");
  ASSERT_TRUE(result);
  EXPECT_EQ(out_, "abc");
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "first\nthe last one\n");
}

TEST_F(ReadChildTest, MuchOutputOnBothDoesNotBlock) {
  const auto result = Shell("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero");
  ASSERT_TRUE(result);
  EXPECT_EQ(out_.size(), 1'000'000U);
  EXPECT_EQ(result->output.size(), 64U << 10);
}

TEST_F(ReadChildTest, AnErrorOfTheTickEndsIt) {
  interrupted_ = true;
  const auto result = Shell("trap '' TERM INT; exec sleep 600");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST_F(ReadChildTest, AnErrorOfTheReaderEndsIt) {
  full_ = true;
  const auto result = Shell("printf x; exec sleep 600");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace cllm
