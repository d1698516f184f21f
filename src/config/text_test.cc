#include "config/text.h"

#include <gtest/gtest.h>

#include <string>

namespace cllm::config {
namespace {

using namespace std::string_literals;

TEST(Quoted, EscapesWhatWouldEndTheTextOrTheLine) {
  EXPECT_EQ(Quoted("plain \u4E2D"), "\"plain \u4E2D\"");
  EXPECT_EQ(Quoted("a\"b\\c\nd\te\x1B\x7F"), R"("a\"b\\c\nd\te\x1b\x7f")");
  EXPECT_EQ(Quoted("\0"s), R"("\x00")");
  EXPECT_EQ(Quoted("\u0085\u2028\u2029\uFEFF\u202E"), R"("\x85\u2028\u2029\ufeff\u202e")");
  EXPECT_EQ(Quoted("\xFF\xE4"), R"("\xff\xe4")");
}

TEST(OneLine, QuotesOnlyWhereNeeded) {
  EXPECT_EQ(OneLine("config.yaml"), "config.yaml");
  EXPECT_EQ(OneLine("a\nb"), R"("a\nb")");
}

TEST(QuotedForMessage, CutsLongTextBetweenCharacters) {
  EXPECT_EQ(QuotedForMessage(std::string(80, 'x')), '"' + std::string(80, 'x') + '"');
  EXPECT_EQ(QuotedForMessage(std::string(81, 'x')), '"' + std::string(80, 'x') + "\"…");
  std::string wide = "x";
  for (int i = 0; i < 40; ++i) wide += "\u4E2D";
  EXPECT_EQ(QuotedForMessage(wide), '"' + wide.substr(0, 1 + 26 * 3) + "\"…");
}

TEST(ReadsAsNonText, KnowsNumbersAndWordsOfYaml) {
  for (const char* text : {"",      "~",    "null", "NULL", "True", "yes", "off", "0",    "-1",    "+8",   "8080",
                           "1_000", "0x1F", "0o17", "1.5",  ".5",   "5.",  "1e9", "1E-9", "-.inf", ".NaN", "12:30"}) {
    EXPECT_TRUE(ReadsAsNonText(text)) << text;
  }
  for (const char* text :
       {"abc", "q4_k_m", "0.0.0.0", "127.0.0.1", "/8080", "8b", "1e", "e9", ".", "-", "::1", "nullx", "0xfg", "on_off"}) {
    EXPECT_FALSE(ReadsAsNonText(text)) << text;
  }
}

TEST(Wrap, FillsLinesAndKeepsLongWords) {
  EXPECT_EQ(Wrap("a bb  ccc\ndd", 4), (std::vector<std::string>{"a bb", "ccc", "dd"}));
  EXPECT_EQ(Wrap("abcdefgh i", 4), (std::vector<std::string>{"abcdefgh", "i"}));
  EXPECT_TRUE(Wrap("  \n", 4).empty());
}

}  // namespace
}  // namespace cllm::config
