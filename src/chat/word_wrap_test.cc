#include "chat/word_wrap.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/columns.h"
#include "base/utf8.h"

namespace cllm {
namespace {

// What a terminal shows of what is written to it. Where it breaks a line itself there is a "↵".
class ToyTerminal {
 public:
  explicit ToyTerminal(std::size_t columns) : columns_(columns) {}

  void Write(std::string_view text) {
    while (!text.empty()) {
      const std::string_view character = text.substr(0, CharacterLength(text));
      text.remove_prefix(character.size());
      WriteCharacter(character);
    }
  }
  std::string text() const { return done_ + Line(); }

 private:
  void WriteCharacter(std::string_view character) {
    if (character == "\n") return End("\n");
    if (character == "\b") {
      ASSERT_GT(at_, 0U);
      --at_;
      return;
    }
    if (character == "\t") return Put("\t", 8 - at_ % 8);
    const auto width = static_cast<std::size_t>(ColumnsOf(CodePoint(character)));
    if (width > 0) return Put(character, width);
    if (at_ > 0) cells_[at_ - 1] += character;
  }
  void Put(std::string_view character, std::size_t width) {
    if (columns_ > 0 && at_ + width > columns_) End("↵");
    cells_.resize(std::max(cells_.size(), at_ + width));
    for (std::size_t i = 0; i < width; ++i) cells_[at_ + i].clear();
    at_ += width;
    cells_[at_ - 1] = character;
  }
  void End(std::string_view mark) {
    done_ += Line() + std::string(mark);
    cells_.clear();
    at_ = 0;
  }
  std::string Line() const {
    std::string line;
    for (const std::string& cell : cells_) line += cell;
    return line.substr(0, line.find_last_not_of(' ') + 1);
  }

  std::size_t columns_;
  std::string done_;
  std::vector<std::string> cells_;  // a character of two columns is in the second
  std::size_t at_ = 0;
};

std::string Wrapped(std::string_view text, std::size_t columns) {
  WordWrap wrap;
  ToyTerminal terminal(columns);
  terminal.Write(wrap.Push(text, columns));
  return terminal.text();
}

std::string CharacterByCharacter(std::string_view text, std::size_t columns) {
  WordWrap wrap;
  ToyTerminal terminal(columns);
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    terminal.Write(wrap.Push(text.substr(0, length), columns));
    text.remove_prefix(length);
  }
  return terminal.text();
}

TEST(WordWrapTest, LinesEndBetweenWords) {
  EXPECT_EQ(Wrapped("the quick brown fox jumps over it", 17), "the quick brown\nfox jumps over\nit");
  EXPECT_EQ(Wrapped("0123456789 12345 next", 17), "0123456789 12345\nnext") << "all columns but the last";
  EXPECT_EQ(Wrapped("0123456789 123456 next", 17), "0123456789\n123456 next");
  EXPECT_EQ(Wrapped("short\nlines\n\nstay\n", 17), "short\nlines\n\nstay\n");
}

TEST(WordWrapTest, AllIsShownAsItComes) {
  WordWrap wrap;
  EXPECT_EQ(wrap.Push("Hel", 20), "Hel");
  EXPECT_EQ(wrap.Push("lo ", 20), "lo");
  EXPECT_EQ(wrap.Push("columns, ", 20), " columns,");
  EXPECT_EQ(wrap.Push("y", 20), " y");
  EXPECT_EQ(wrap.Push("ou ", 20), "ou");
  EXPECT_EQ(wrap.Push("a", 20), "\na") << "that is known before it is shown";
  EXPECT_EQ(wrap.Push(" 0123456789 01234", 20), " 0123456789 01234");
  EXPECT_EQ(wrap.Push("567", 20), "5\b\b\b\b\b\b      \n01234567") << "a word is taken back";
  wrap.Reset();
  EXPECT_EQ(wrap.Push("0123456789 0123456", 20), "0123456789 0123456");
}

TEST(WordWrapTest, AWordLongerThanALineIsTheTerminalsMatter) {
  EXPECT_EQ(Wrapped("see 0123456789abcdefghijKL and on", 20), "see\n0123456789abcdefghij↵KL and on");
  EXPECT_EQ(Wrapped("0123456789abcdefghijKL 0123456789 01234567", 20), "0123456789abcdefghij↵KL 0123456789\n01234567");
}

TEST(WordWrapTest, BlanksBetweenWordsStayAndThoseAtABreakGo) {
  EXPECT_EQ(Wrapped("a   b", 17), "a   b");
  EXPECT_EQ(Wrapped("0123456789   0123456789", 17), "0123456789\n0123456789");
  EXPECT_EQ(Wrapped("one  \ntwo ", 17), "one\ntwo");
  EXPECT_EQ(Wrapped("0123\tx\ty 012345", 24), "0123\tx\ty\n012345") << "tabs go to columns 8 and 16";
}

TEST(WordWrapTest, CodeAndTablesStayAsTheyAre) {
  const std::string code = "```c++\nif (a  &&  b)\n  x;\n\n  }\n```\n";
  EXPECT_EQ(Wrapped(code + "the quick brown fox", 17), code + "the quick brown\nfox");
  EXPECT_EQ(Wrapped("```\nsomething = long_names of things\n```\nthe quick brown fox", 17),
            "```\nsomething = long_↵names of things\n```\nthe quick brown\nfox");
  EXPECT_EQ(Wrapped("    a line of code is longer", 17), "    a line of cod↵e is longer");
  EXPECT_EQ(Wrapped("\ta line of code", 17), "\ta line of↵ code");
  EXPECT_EQ(Wrapped("| one | two | three | four |", 17), "| one | two | thr↵ee | four |");
  EXPECT_EQ(Wrapped("~~~\n``` is no end of this\n~~~\nthe quick brown fox", 17), "~~~\n``` is no end of↵this\n~~~\nthe quick brown\nfox");
}

TEST(WordWrapTest, ItemsOfListsAreNoCode) {
  EXPECT_EQ(Wrapped("     - the quick brown fox", 17), "     - the quick\nbrown fox");
  EXPECT_EQ(Wrapped("    12. the quick brown", 17), "    12. the\nquick brown");
}

TEST(WordWrapTest, IdeographsMayBeBrokenAnywhere) {
  EXPECT_EQ(Wrapped("一二三四五六七八九十", 17), "一二三四五六七八\n九十");
  EXPECT_EQ(Wrapped("x一二三四五六七八九", 17), "x一二三四五六七\n八九") << "two columns each";
  EXPECT_EQ(Wrapped("一二三四五六七八。九", 17), "一二三四五六七\n八。九") << "no line begins with a full stop";
  EXPECT_EQ(Wrapped("一二三四五六七（八）", 17), "一二三四五六七\n（八）") << "none ends with an opening bracket";
  EXPECT_EQ(Wrapped("一二三四五 hello", 17), "一二三四五 hello");
  EXPECT_EQ(Wrapped("一二三四五六hello", 17), "一二三四五六\nhello");
}

TEST(WordWrapTest, WhatJoinsStaysTogether) {
  EXPECT_EQ(Wrapped("0123456789 cafe\u0301s x", 17), "0123456789 cafe\u0301s\nx") << "an accent has no column";
  EXPECT_EQ(Wrapped("0123456789 cafe\u0301se\u0301", 17), "0123456789\ncafe\u0301se\u0301");
  EXPECT_EQ(Wrapped("0123456789abcdef👍🏽", 17), "0123456789abcdef\n👍🏽");
}

TEST(WordWrapTest, JoinedPicturesAreNotTakenBack) {
  // A terminal that shows them as one has other columns than one that shows each: backspaces could wipe out what is before.
  WordWrap wrap;
  EXPECT_EQ(wrap.Push("01234567 👩\u200D👩\u200D👧", 16), "01234567 👩\u200D👩\u200D👧");
}

TEST(WordWrapTest, ANarrowTerminalIsLeftAlone) {
  EXPECT_EQ(Wrapped("the quick brown fox", 10), "the quick↵brown fox");
  EXPECT_EQ(Wrapped("the quick brown fox", 0), "the quick brown fox");
}

// Whatever the text, nothing but blanks at a break is lost, and it does not matter in which pieces it comes.
TEST(WordWrapTest, LosesNothing) {
  const std::vector<std::string> parts = {"a", "word", " ", "  ", "\n", "中", "。", "（", "é", "e\u0301", "```", "|", "-", "12.", "한"};
  const auto without_blanks = [](std::string text) {
    for (std::size_t at = 0; (at = text.find("↵", at)) != std::string::npos;) text.erase(at, 3);
    std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
    return text;
  };
  std::mt19937 random(7);
  for (int run = 0; run < 1000; ++run) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += parts[random() % parts.size()];
    const std::size_t columns = 16 + random() % 10;
    const std::string whole = Wrapped(text, columns);
    ASSERT_EQ(without_blanks(whole), without_blanks(text)) << text;
    ASSERT_EQ(CharacterByCharacter(text, columns), whole) << text;
  }
}

}  // namespace
}  // namespace cllm
