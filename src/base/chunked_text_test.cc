#include "base/chunked_text.h"

#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string Numbers(std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
  text.resize(bytes);
  return text;
}

TEST(ChunkedTextTest, WhatIsAppendedComesOutInOrder) {
  for (const std::size_t piece : {1U, 7U, 1000U, 200'000U}) {
    const std::string text = Numbers(300'001);
    ChunkedText chunked;
    for (std::size_t at = 0; at < text.size(); at += piece) chunked.Append(std::string_view(text).substr(at, piece));
    EXPECT_EQ(chunked.size(), text.size());
    std::string out;
    std::string buffer(12'345, '\0');
    while (const std::size_t bytes = chunked.Take(buffer.data(), buffer.size())) out.append(buffer, 0, bytes);
    EXPECT_EQ(out, text) << piece;
    EXPECT_EQ(chunked.size(), 0U);
  }
}

TEST(ChunkedTextTest, TakingAndAppendingInTurn) {
  ChunkedText chunked(std::string("abc"));
  char first = 0;
  EXPECT_EQ(chunked.Take(&first, 1), 1U);
  EXPECT_EQ(first, 'a');
  chunked.Append("def");
  EXPECT_EQ(chunked.TakeAll(), "bcdef");
  EXPECT_EQ(chunked.size(), 0U);
  EXPECT_EQ(chunked.Take(&first, 1), 0U);
  chunked.Append("again");
  EXPECT_EQ(chunked.TakeAll(), "again");
  EXPECT_EQ(ChunkedText(std::string()).TakeAll(), "");
}

}  // namespace
}  // namespace cllm
