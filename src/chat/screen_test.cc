#include "chat/screen.h"

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

}  // namespace
}  // namespace cllm
