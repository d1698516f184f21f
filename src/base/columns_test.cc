#include "base/columns.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ColumnsTest, OfCharacters) {
  EXPECT_EQ(ColumnsOf(U'a'), 1);
  EXPECT_EQ(ColumnsOf(U'ß'), 1);
  EXPECT_EQ(ColumnsOf(U'я'), 1);
  EXPECT_EQ(ColumnsOf(U'中'), 2);
  EXPECT_EQ(ColumnsOf(U'한'), 2);
  EXPECT_EQ(ColumnsOf(U'ｱ'), 1);   // halfwidth
  EXPECT_EQ(ColumnsOf(U'Ａ'), 2);  // fullwidth
  EXPECT_EQ(ColumnsOf(U'，'), 2);
  EXPECT_EQ(ColumnsOf(U'😀'), 2);
  EXPECT_EQ(ColumnsOf(U'\u0301'), 0);  // an accent
  EXPECT_EQ(ColumnsOf(U'\u200B'), 0);  // a blank without width
  EXPECT_EQ(ColumnsOf(U'\u200D'), 0);  // the joiner of pictures
  EXPECT_EQ(ColumnsOf(U'\uFE0F'), 0);
  EXPECT_EQ(ColumnsOf(U'\u2014'), 1);
  EXPECT_EQ(ColumnsOf(0x20000), 2);  // the next plane of ideographs
  EXPECT_EQ(ColumnsOf(0x10FFFF), 1);
}

TEST(ColumnsTest, OfText) {
  EXPECT_EQ(Columns(""), 0U);
  EXPECT_EQ(Columns("abc"), 3U);
  EXPECT_EQ(Columns("中文 ok"), 7U);
  EXPECT_EQ(Columns("e\u0301"), 1U);
  EXPECT_EQ(Columns("\xFF\xE4"), 2U);
}

}  // namespace
}  // namespace cllm
