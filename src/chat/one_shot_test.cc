#include "chat/one_shot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>

#include "chat/testing_chat.h"

namespace cllm {
namespace {

TEST(OneShotQuestion, IsArgumentBlankLineInput) {
  EXPECT_EQ(OneShotQuestion("Summarise:", "one\ntwo\r\n\n"), "Summarise:\n\none\ntwo");
  EXPECT_EQ(OneShotQuestion("Why?", ""), "Why?");
  EXPECT_EQ(OneShotQuestion("Why?", " \n"), "Why?");
  EXPECT_EQ(OneShotQuestion("", "  text\n"), "  text");
  EXPECT_FALSE(OneShotQuestion("", "\n"));
  EXPECT_FALSE(OneShotQuestion(" ", ""));
  EXPECT_FALSE(OneShotQuestion("\xFF", "x"));
}

class ReadInputTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(interrupts_); }
  std::string Read(const std::string& bytes) {
    const Capture file;
    EXPECT_EQ(write(file.fd(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    lseek(file.fd(), 0, SEEK_SET);
    const auto input = ReadInput(file.fd(), **interrupts_);
    return input ? *input : "error: " + input.error().message;
  }
  Result<std::unique_ptr<Interrupts>> interrupts_ = Interrupts::Create();
};

TEST_F(ReadInputTest, ReadsAllOfIt) {
  const std::string large(300'000, 'x');
  EXPECT_EQ(Read(large), large);
  EXPECT_EQ(Read(""), "");
  EXPECT_EQ(Read("Grüße"), "Grüße");
  EXPECT_EQ(Read("ab\xFF"), "error: standard input is not UTF-8 text: byte 2 is wrong");
}

TEST_F(ReadInputTest, TakesAsMuchAsIsAllowed) { EXPECT_EQ(Read(std::string(kMostInputBytes, 'x')).size(), kMostInputBytes); }

TEST_F(ReadInputTest, TooMuchIsAnErrorAndEndlessInputEnds) {
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  const auto input = ReadInput(zero, **interrupts_);
  close(zero);
  ASSERT_FALSE(input);
  EXPECT_EQ(input.error().message, "standard input has more than 64 MiB");
}

TEST_F(ReadInputTest, AnInterruptEndsTheWait) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  kill(getpid(), SIGINT);
  const auto input = ReadInput(ends[0], **interrupts_);
  close(ends[0]);
  close(ends[1]);
  ASSERT_FALSE(input);
  EXPECT_EQ(input.error().code, ErrorCode::kCancelled);
}

class AnswerOnceTest : public testing::Test {
 protected:
  int Run(ToyAnswerer::Reply reply, bool terminal = false) {
    answerer_.replies.push_back(std::move(reply));
    Screen screen({.fd = out_.fd(), .terminal = terminal}, {.fd = err_.fd()});
    return AnswerOnce("why", options_, answerer_, screen);
  }
  ChatOptions options_;
  ToyAnswerer answerer_;
  Capture out_;
  Capture err_;
};

TEST_F(AnswerOnceTest, WritesTheAnswerAndANewline) {
  options_.system = "s";
  EXPECT_EQ(Run({.pieces = {"one\n", "two\x1b"}}), 0);
  EXPECT_EQ(out_.text(), "one\ntwo\x1b\n") << "a pipe gets what the model wrote";
  EXPECT_EQ(err_.text(), "");
  EXPECT_EQ(answerer_.asked.front(), "system:s|user:why|");
}

TEST_F(AnswerOnceTest, ANewlineAtTheEndIsNotDoubled) {
  EXPECT_EQ(Run({.pieces = {"one\n"}}), 0);
  EXPECT_EQ(out_.text(), "one\n");
}

TEST_F(AnswerOnceTest, ATerminalIsSafe) {
  EXPECT_EQ(Run({.pieces = {"\x1b[2J"}}, true), 0);
  EXPECT_EQ(out_.text(), "\\x1b[2J\n");
}

TEST_F(AnswerOnceTest, ErrorsAreOneLineAndCodeOne) {
  EXPECT_EQ(Run({.pieces = {"half"}, .end = InvalidArgument("too long for the context")}), 1);
  EXPECT_EQ(out_.text(), "half\n");
  EXPECT_EQ(err_.text(), "cllm: too long for the context: take a longer one\n");
}

TEST_F(AnswerOnceTest, AnInterruptIs130) {
  EXPECT_EQ(Run({.pieces = {"half"}, .end = AnswerSummary{.interrupted = true}}), 130);
  EXPECT_EQ(out_.text(), "half\n");
}

TEST_F(AnswerOnceTest, OnlyATerminalShowsTheCtrlCThatNeedsALineOfItsOwn) {
  EXPECT_EQ(Run({.pieces = {"half\n"}, .end = AnswerSummary{.interrupted = true}}), 130);
  EXPECT_EQ(out_.text(), "half\n");
  EXPECT_EQ(Run({.pieces = {"half\n"}, .end = AnswerSummary{.interrupted = true}}, true), 130);
  EXPECT_EQ(out_.text(), "half\nhalf\n\n");
}

TEST_F(AnswerOnceTest, ACutIsReportedUnlessItWasAskedFor) {
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.cut = true, .generated_tokens = 1}}), 0);
  EXPECT_EQ(err_.text(), "The answer was cut, the context is full: take a longer one.\n");
  ASSERT_TRUE(options_.settings.Set("max_tokens", "1"));
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.cut = true, .generated_tokens = 1}}), 0);
  EXPECT_EQ(err_.text(), "The answer was cut, the context is full: take a longer one.\n");
}

TEST_F(AnswerOnceTest, AContextThatEndsBeforeMaxTokensIsReported) {
  ASSERT_TRUE(options_.settings.Set("max_tokens", "5"));
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.cut = true, .generated_tokens = 5}}), 0);
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.cut = true}}), 0);
  EXPECT_EQ(err_.text(), "") << "a server that does not count has no other reason to tell";
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.cut = true, .generated_tokens = 4}}), 0);
  EXPECT_EQ(err_.text(), "The answer was cut before max_tokens, the context is full: take a longer one.\n");
}

TEST_F(AnswerOnceTest, ADiskThatIsFullIsAnError) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  answerer_.replies.push_back({.pieces = {"a", "b"}});
  Screen screen({.fd = full}, {.fd = err_.fd()});
  EXPECT_EQ(AnswerOnce("why", options_, answerer_, screen), 1);
  close(full);
  EXPECT_EQ(err_.text(), "cllm: the answer cannot be written: No space left on device\n");
}

// A file that can hold the answer but not the newline behind it.
TEST_F(AnswerOnceTest, ANewlineThatCannotBeWrittenIsAnError) {
  const int file = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(file, 1), 0);
  ASSERT_EQ(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), 0);
  answerer_.replies.push_back({.pieces = {"a"}});
  Screen screen({.fd = file}, {.fd = err_.fd()});
  EXPECT_EQ(AnswerOnce("why", options_, answerer_, screen), 1);
  close(file);
  EXPECT_EQ(err_.text(), "cllm: the answer cannot be written: Operation not permitted\n");
}

TEST_F(AnswerOnceTest, AReaderThatHasEnoughEndsTheProcess) {
  EXPECT_EXIT(
      {
        std::signal(SIGPIPE, SIG_IGN);
        int ends[2];
        static_cast<void>(!pipe(ends));
        close(ends[0]);
        Screen screen({.fd = ends[1]}, {.fd = err_.fd()});
        AnswerOnce("why", options_, answerer_, screen);
      },
      testing::KilledBySignal(SIGPIPE), "");
}

TEST_F(AnswerOnceTest, VerboseIsOnStandardError) {
  options_.verbose = true;
  EXPECT_EQ(Run({.pieces = {"a"}, .end = AnswerSummary{.prompt_s = 0.25, .answer_s = 1}}), 0);
  EXPECT_EQ(err_.text(), "prompt 0.25 s; answer 1.00 s; 1.25 s\n");
}

}  // namespace
}  // namespace cllm
