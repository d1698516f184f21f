#include "hub/child_process.h"

#include <gtest/gtest.h>

#include "hub/testing_hub.h"

namespace cllm {
namespace {

class ChildProcessTest : public ::testing::Test {
 protected:
  Result<ChildOutcome> Shell(const std::string& script, const std::filesystem::path& temporary = {}) {
    return RunChild(
        {.arguments = {"sh", "-c", script}, .temporary = temporary}, patience_,
        [this](std::string_view bytes) -> Status {
          out_ += bytes;
          if (full_) return Fail(ErrorCode::kTooLarge, "full");
          return {};
        },
        [] {});
  }
  TestingPatience patience_;
  std::string out_;
  bool full_ = false;
};

TEST_F(ChildProcessTest, OutputErrorsAndExitCode) {
  const auto outcome = Shell("printf abc; echo first >&2; echo 'the last one' >&2; echo >&2; exit 3");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(out_, "abc");
  EXPECT_EQ(outcome->exit_code, 3);
  EXPECT_EQ(outcome->last_error, "the last one");
}

TEST_F(ChildProcessTest, MuchOutputOnBothDoesNotBlock) {
  const auto outcome = Shell("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(out_.size(), 1000000U);
}

TEST_F(ChildProcessTest, NoInputAndAnotherTmpdir) {
  ASSERT_TRUE(Shell("cat; printf %s \"$TMPDIR\"", "/somewhere"));
  EXPECT_EQ(out_, "/somewhere");
}

TEST_F(ChildProcessTest, NoSuchProgram) {
  const auto outcome =
      RunChild({.arguments = {"cllm-no-such-program"}, .temporary = {}}, patience_, [](std::string_view) { return Status(); }, [] {});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("cllm-no-such-program"), std::string::npos);
}

TEST_F(ChildProcessTest, AnInterruptEndsIt) {
  patience_.interrupted = true;
  const auto outcome = Shell("exec sleep 600");
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
}

TEST_F(ChildProcessTest, AnErrorOfTheReaderEndsIt) {
  full_ = true;
  const auto outcome = Shell("printf x; exec sleep 600");
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kTooLarge);
}

TEST_F(ChildProcessTest, ASignalIsAnExitCode) { EXPECT_EQ(Shell("kill -9 $$")->exit_code, 137); }

}  // namespace
}  // namespace cllm
