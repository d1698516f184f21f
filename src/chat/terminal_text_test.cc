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
  EXPECT_EQ(ForTerminal("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(ForTerminal("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  EXPECT_EQ(ForTerminal("a\x08\x7f"), "a\\x08\\x7f");
  EXPECT_EQ(ForTerminal(std::string("\0", 1)), "\\x00");
}

TEST(TerminalText, CarriageReturnsGo) { EXPECT_EQ(ForTerminal("one\r\ntwo\rthree"), "one\ntwothree"); }

TEST(TerminalText, AMessageIsOneShortLineOfValidText) {
  EXPECT_EQ(ForMessage("one\ntwo\tthree\x1b"), "one two three\\x1b");
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
