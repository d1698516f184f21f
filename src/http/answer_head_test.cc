#include "http/answer_head.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(AnswerHeadTest, AGoodRequestIdIsKept) {
  for (const std::string& id : {std::string("a"), std::string("req-1/2:3"), std::string("~!@#"), std::string(128, 'x')}) {
    EXPECT_EQ(RequestIdOf(id), id);
  }
}

TEST(AnswerHeadTest, AnyOtherIsReplacedByAFreshOne) {
  for (const std::string& id :
       {std::string(), std::string("a b"), std::string("a\r\nb: c"), std::string("\x7F"), std::string("\xC3\xA4"), std::string(129, 'x')}) {
    const std::string fresh = RequestIdOf(id);
    EXPECT_EQ(fresh.size(), 32U);
    EXPECT_NE(fresh, RequestIdOf(id));
  }
}

TEST(AnswerHeadTest, AClosingHeadHasWhatDrogonWrites) {
  const std::string head = ClosingHead(415, {{"X-A", "b"}});
  EXPECT_TRUE(head.starts_with("HTTP/1.1 415 Unsupported Media Type\r\nConnection: close\r\nServer: cLLM\r\nDate: ")) << head;
  EXPECT_TRUE(head.ends_with(" GMT\r\nX-A: b\r\n\r\n")) << head;
}

TEST(AnswerHeadTest, RetryAfterWhereTryingAgainMayHelp) {
  EXPECT_EQ(RetryAfter({ErrorCode::kQueueFull, "", {}, 7}), 7);
  EXPECT_EQ(RetryAfter({ErrorCode::kUnavailable, "", {}, 0}), 1);
  EXPECT_EQ(RetryAfter({ErrorCode::kInvalidArgument, "", {}, 7}), std::nullopt);
}

TEST(AnswerHeadTest, FieldListsAreSafeAndShort) {
  EXPECT_EQ(FieldListValue({}), "");
  EXPECT_EQ(FieldListValue(std::vector<std::string>{"user_tag", "a,b\r\nc: d", "\xC3\xA4"}), "user_tag, a%2Cb%0D%0Ac:%20d, %C3%A4");
  const std::string most = FieldListValue(std::vector<std::string>(1000, "abcdefgh"));
  EXPECT_LE(most.size(), 1100U);
  EXPECT_TRUE(most.ends_with("abcdefgh, ...")) << most;
  EXPECT_EQ(FieldListValue(std::vector<std::string>{std::string(5000, 'x')}), "...");
}

}  // namespace
}  // namespace cllm
