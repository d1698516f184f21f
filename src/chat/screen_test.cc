#include "chat/screen.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "chat/testing_chat.h"

namespace cllm {
namespace {

class ScreenTest : public testing::Test {
 protected:
  Capture out_;
  Screen screen_{{.fd = out_.fd()}, {.fd = -1}};
};

TEST_F(ScreenTest, AnEmptyPieceOpensNoLine) {
  EXPECT_TRUE(screen_.WriteAnswer("one\n"));
  EXPECT_TRUE(screen_.WriteAnswer(""));
  EXPECT_TRUE(screen_.EndAnswer());
  EXPECT_EQ(out_.text(), "one\n");
}

TEST_F(ScreenTest, ALineIsEndedOnce) {
  EXPECT_TRUE(screen_.WriteAnswer("one"));
  EXPECT_TRUE(screen_.EndAnswer());
  EXPECT_TRUE(screen_.EndAnswer());  // of an answer without text
  EXPECT_EQ(out_.text(), "one\n");
}

// A terminal of this process: what is written to one end is read at the other.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    grantpt(master_);
    unlockpt(master_);
    slave_ = open(ptsname(master_), O_RDWR | O_NOCTTY | O_CLOEXEC);
  }
  ~Terminal() {
    close(slave_);
    close(master_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int fd() const { return slave_; }
  void SetColumns(unsigned short columns) const {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(master_, TIOCSWINSZ, &size);
  }
  // What has come, once there is as much as `expected` has, or nothing comes for 10 s: a terminal hands on what was written piece by
  // piece.
  std::string Read(std::string_view expected) const {
    std::string text;
    std::array<char, 4096> buffer;
    pollfd ready{.fd = master_, .events = POLLIN, .revents = 0};
    while (text.size() < expected.size() && poll(&ready, 1, 10'000) > 0) {
      const ssize_t count = read(master_, buffer.data(), buffer.size());
      if (count <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int master_;
  int slave_;
};

void ExpectRead(const Terminal& terminal, const std::string& expected) { EXPECT_EQ(terminal.Read(expected), expected); }

TEST(ScreenOnATerminalTest, LinesEndBetweenWordsAtItsWidthOfNow) {
  const Terminal terminal;
  Screen screen({.fd = terminal.fd(), .terminal = true}, {.fd = -1});
  terminal.SetColumns(20);
  EXPECT_TRUE(screen.WriteAnswer("twenty columns are not ma"));
  ExpectRead(terminal, "twenty columns are\r\nnot ma");
  EXPECT_TRUE(screen.WriteAnswer("ny "));
  ExpectRead(terminal, "ny");
  terminal.SetColumns(40);
  EXPECT_TRUE(screen.WriteAnswer("but forty are some more than that, you see"));
  EXPECT_TRUE(screen.EndAnswer());
  ExpectRead(terminal, " but forty are some more than t\b \r\nthat, you see\r\n");
}

TEST(ScreenOnATerminalTest, WithoutAWidthLinesAreAsTheyAre) {
  const Terminal terminal;
  Screen screen({.fd = terminal.fd(), .terminal = true}, {.fd = -1});
  const std::string text(30, 'x');
  EXPECT_TRUE(screen.WriteAnswer(text + " " + text + " " + text));
  EXPECT_TRUE(screen.EndAnswer());
  ExpectRead(terminal, text + " " + text + " " + text + "\r\n");
}

}  // namespace
}  // namespace cllm
