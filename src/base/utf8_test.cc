#include "base/utf8.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string ByteByByte(std::string_view bytes) {
  Utf8Assembler assembler;
  std::string out;
  for (const char byte : bytes) {
    const std::string part = assembler.Push(std::string_view(&byte, 1));
    EXPECT_TRUE(IsValidUtf8(part));
    out += part;
  }
  return out + assembler.Finish();
}

TEST(Utf8AssemblerTest, KeepsValidTextHoweverItIsCut) {
  const std::string text = "aé€😀人工智能 z";
  EXPECT_EQ(ByteByByte(text), text);
  Utf8Assembler whole;
  EXPECT_EQ(whole.Push(text), text);
  EXPECT_EQ(whole.Finish(), "");
}

TEST(Utf8AssemblerTest, HoldsAnUnfinishedCharacterBack) {
  Utf8Assembler assembler;
  EXPECT_EQ(assembler.Push("x\xE2\x82"), "x");
  EXPECT_EQ(assembler.Push("\xAC"), "€");
}

TEST(Utf8AssemblerTest, ReplacesWhatCannotBeCompleted) {
  EXPECT_EQ(ByteByByte("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(ByteByByte("\xE2\x82z"), "\uFFFDz");                          // cut short by another character
  EXPECT_EQ(ByteByByte("\xF0\x9F\x98"), "\uFFFD");                        // cut short by the end
  EXPECT_EQ(ByteByByte("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(ByteByByte("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(ByteByByte("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
}

TEST(IsValidUtf8Test, NamesTheFirstBadByte) {
  std::size_t offset = 99;
  EXPECT_TRUE(IsValidUtf8("päth", &offset));
  EXPECT_FALSE(IsValidUtf8("ab\xC3", &offset));
  EXPECT_EQ(offset, 2U);
  EXPECT_FALSE(IsValidUtf8("ä\x80", &offset));
  EXPECT_EQ(offset, 2U);
}

TEST(CharacterLengthTest, OfTheFirstCharacter) {
  EXPECT_EQ(CharacterLength(""), 0U);
  EXPECT_EQ(CharacterLength("ab"), 1U);
  EXPECT_EQ(CharacterLength("ä"), 2U);
  EXPECT_EQ(CharacterLength("中x"), 3U);
  EXPECT_EQ(CharacterLength("😀"), 4U);
  EXPECT_EQ(CharacterLength("\xE4\xB8"), 0U);      // cut short
  EXPECT_EQ(CharacterLength("\xC0\x80"), 0U);      // overlong
  EXPECT_EQ(CharacterLength("\xED\xA0\x80"), 0U);  // a surrogate
}

TEST(CodePointTest, OfEveryLength) {
  EXPECT_EQ(CodePoint("a"), U'a');
  EXPECT_EQ(CodePoint("ä"), U'ä');
  EXPECT_EQ(CodePoint("\u07FF"), 0x7FFU);
  EXPECT_EQ(CodePoint("中"), U'中');
  EXPECT_EQ(CodePoint("\U0010FFFF"), 0x10FFFFU);
  EXPECT_EQ(CodePoint("😀 and more"), U'😀');
  EXPECT_EQ(CodePoint("\xFF"), 0xFFFDU);
  EXPECT_EQ(CodePoint(""), 0xFFFDU);
}

TEST(WholeCharactersTest, EndsBetweenTwoCharacters) {
  EXPECT_EQ(WholeCharacters("abc", 3), "abc");
  EXPECT_EQ(WholeCharacters("abc", 2), "ab");
  EXPECT_EQ(WholeCharacters("a中b", 2), "a");
  EXPECT_EQ(WholeCharacters("a中b", 3), "a");
  EXPECT_EQ(WholeCharacters("a中b", 4), "a中");
  EXPECT_EQ(WholeCharacters("😀", 3), "");
  EXPECT_EQ(WholeCharacters("中", 0), "");
  EXPECT_EQ(WholeCharacters("\x80\x80\x80\x80\x80", 4), "\x80\x80\x80\x80");
}

TEST(ShortenedTest, CutsLongTextAndMendsBadBytes) {
  EXPECT_EQ(Shortened("short"), "short");
  EXPECT_EQ(Shortened("a\xFF"), "a\uFFFD");
  EXPECT_EQ(Shortened(std::string(101, 'x')), std::string(100, 'x') + "…");
  EXPECT_EQ(Shortened("ab中", 4), "ab…");
  EXPECT_EQ(Shortened("ab中", 5), "ab中");
}

}  // namespace
}  // namespace cllm
