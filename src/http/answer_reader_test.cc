#include "http/answer_reader.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

// Byte by byte, and as a whole: the same must come of it.
std::string BodyOf(std::string_view answer, bool has_body = true) {
  AnswerReader whole(has_body), bytes(has_body);
  EXPECT_TRUE(whole.Add(answer));
  for (const char c : answer) EXPECT_TRUE(bytes.Add(std::string_view(&c, 1)));
  EXPECT_TRUE(whole.is_complete());
  EXPECT_TRUE(bytes.is_complete());
  EXPECT_EQ(whole.status(), bytes.status());
  std::string body = whole.TakeBody();
  EXPECT_EQ(bytes.TakeBody(), body);
  EXPECT_EQ(whole.TakeBody(), "");
  return body;
}

TEST(AnswerReaderTest, ABodyHasALength) {
  EXPECT_EQ(BodyOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "hello");
  EXPECT_EQ(BodyOf("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: y\r\n\r\n"), "");
  EXPECT_EQ(BodyOf("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false), "");
  AnswerReader reader;
  ASSERT_TRUE(reader.Add("HTTP/1.1 429 Too Many\r\nRetry-After:  7\r\nContent-LENGTH: 4\r\n\r\nab"));
  EXPECT_TRUE(reader.has_head());
  EXPECT_FALSE(reader.is_complete());
  EXPECT_FALSE(reader.is_stream());
  EXPECT_EQ(reader.status(), 429);
  EXPECT_EQ(reader.Header("retry-after"), "7");
  EXPECT_EQ(reader.Header("x"), "");
  EXPECT_EQ(reader.TakeBody(), "ab");
  ASSERT_TRUE(reader.Add("cd"));
  EXPECT_EQ(reader.TakeBody(), "cd");
  EXPECT_TRUE(reader.is_complete());
}

TEST(AnswerReaderTest, AStreamComesInWholePieces) {
  EXPECT_EQ(BodyOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"),
            "hello0123456789");
  AnswerReader reader;
  ASSERT_TRUE(reader.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"));
  EXPECT_TRUE(reader.is_stream());
  EXPECT_EQ(reader.TakeBody(), "");
  ASSERT_TRUE(reader.Add("lo\r\n3\r\nab"));
  EXPECT_EQ(reader.TakeBody(), "hello");
  EXPECT_FALSE(reader.is_complete());
}

TEST(AnswerReaderTest, WhatIsNoAnswerIsAnError) {
  for (const char* text :
       {"HTTP/1.0 200 OK\r\n\r\n", "x\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    AnswerReader reader;
    EXPECT_FALSE(reader.Add(text) && reader.Add("more")) << text;
  }
  AnswerReader endless;
  EXPECT_FALSE(endless.Add(std::string(100'000, 'x')));
}

}  // namespace
}  // namespace cllm
