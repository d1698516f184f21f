#include "base/escape.h"

#include <gtest/gtest.h>

#include <string>

#include "base/utf8.h"

namespace cllm {
namespace {

using namespace std::string_literals;

TEST(Escaped, OrdinaryTextStays) {
  for (const char* text : {"", "plain", "Grüße, 世界 🌍", "\xC2\xA0\xC2\xBF\xC3\x80", "a\\b \"c\"", "שלום \u200F!", "👩\u200D👧"}) {
    EXPECT_EQ(Escaped(text), text);
  }
}

TEST(Escaped, WhatIsObeyedIsShown) {
  EXPECT_EQ(Escaped("a\x1B[31mb\x07\x7F"), "a\\x1b[31mb\\x07\\x7f");
  EXPECT_EQ(Escaped("one\ntwo\r\tthree\0"s), "one\\ntwo\\x0d\\tthree\\x00");
  EXPECT_EQ(Escaped("\u009B31m\u0085"), "\\x9b31m\\x85");
  EXPECT_EQ(Escaped("gguf.\u202Efdp\u2066x\u2069\u2028"), "gguf.\\u202efdp\\u2066x\\u2069\\u2028");
}

TEST(Escaped, BytesThatAreNoUtf8) {
  EXPECT_EQ(Escaped("\xFF\xC2"), "\\xff\\xc2");
  EXPECT_EQ(Escaped("\x9B"
                    "31m"),
            "\\x9b31m")
      << "a C1 control where the terminal is not set to UTF-8";
  EXPECT_EQ(Escaped("\xED\xA0\x80"), "\\xed\\xa0\\x80");
}

TEST(Escaped, KeptCharactersStay) { EXPECT_EQ(Escaped("a\n\tb\r", "\n\t"), "a\n\tb\\x0d"); }

TEST(Escaped, TwiceIsOnce) {
  const std::string once = Escaped("\x1B\n\\\xFF\u202E");
  EXPECT_EQ(Escaped(once), once);
}

TEST(Escaped, NothingOfAllCharactersIsObeyed) {
  std::string all;
  for (int c = 0; c < 0x100; ++c) all += static_cast<char>(c);
  for (int c = 0x80; c < 0x100; ++c) all += {static_cast<char>(c < 0xC0 ? 0xC2 : 0xC3), static_cast<char>(c < 0xC0 ? c : c - 0x40)};
  const std::string shown = Escaped(all);
  ASSERT_TRUE(IsValidUtf8(shown));
  for (std::string_view rest = shown; !rest.empty(); rest.remove_prefix(CharacterLength(rest))) {
    EXPECT_FALSE(IsObeyed(CodePoint(rest))) << rest;
  }
}

TEST(EscapedJson, IsTheSameJson) {
  EXPECT_EQ(EscapedJson("{\n  \"a\": \"ä\u009B\x7F\u202E\\u001b\"\n}\n"), "{\n  \"a\": \"ä\\u009b\\u007f\\u202e\\u001b\"\n}\n");
}

}  // namespace
}  // namespace cllm
