#include "chat/terminal_text.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace cllm {
namespace {

TEST(TerminalText, OrdinaryTextStays) {
  for (const char* text : {"", "plain", "line\nand\ttab\n", "Grüße, 世界 🌍", "\xC2\xA0\xC2\xBF\xC3\x80"}) {
    EXPECT_EQ(ForTerminal(text), text);
  }
}

TEST(TerminalText, EscapesBecomeVisible) {
  EXPECT_EQ(ForTerminal("\x1b[2J"), "␛[2J");
  EXPECT_EQ(ForTerminal("\x1b]0;title\x07"), "␛]0;title␇");
  EXPECT_EQ(ForTerminal("a\x08\x7f"), "a␈␡");
  EXPECT_EQ(ForTerminal(std::string("\0", 1)), "␀");
}

TEST(TerminalText, CarriageReturnsGo) { EXPECT_EQ(ForTerminal("one\r\ntwo\rthree"), "one\ntwothree"); }

TEST(TerminalText, NoControlCharacterIsLeft) {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  for (int c = 0x80; c < 0x100; ++c) all += {'\xC2', static_cast<char>(c < 0xC0 ? c : c - 0x40)};
  const std::string shown = ForTerminal(all);
  EXPECT_TRUE(IsValidUtf8(shown));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    EXPECT_TRUE(byte >= 0x20 || byte == '\n' || byte == '\t') << i;
    EXPECT_NE(byte, 0x7F);
    EXPECT_TRUE(byte != 0xC2 || static_cast<unsigned char>(shown[i + 1]) >= 0xA0) << i;
  }
  EXPECT_NE(ForTerminal("\xC2\x9B"
                        "31m")
                .find("\xEF\xBF\xBD"
                      "31m"),
            std::string::npos);
}

TEST(TerminalText, AMessageIsOneShortLineOfValidText) {
  EXPECT_EQ(ForMessage("one\ntwo\tthree\x1b"), "one two three␛");
  EXPECT_EQ(ForMessage("a\xFF"
                       "b"),
            "a\xEF\xBF\xBD"
            "b");
  std::string longer(999, 'x');
  longer += "üü";  // the cut is in the first
  const std::string shown = ForMessage(longer);
  EXPECT_TRUE(IsValidUtf8(shown));
  EXPECT_EQ(shown, std::string(999, 'x') + "…");
}

}  // namespace
}  // namespace cllm
