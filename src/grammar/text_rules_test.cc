#include "grammar/text_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

class TextRulesTest : public testing::Test {
 protected:
  // How far the text may come; "$" where an answer may end.
  std::string Walk(const std::string& rules, std::string_view text) {
    const auto grammar = compiler_.Compile({.parts = {}, .frame = rules}, 0, {});
    if (!grammar) return grammar.error().message;
    const auto constraint = compiler_.Constrain(*grammar);
    for (std::size_t at = 0;; ++at) {
      const auto next = constraint->Next(std::chrono::seconds(60));
      if (!next || !*next) return "!";
      const TokenMask mask = **next;
      const std::int32_t token = at < text.size() ? static_cast<unsigned char>(text[at]) : kEndOfBytes;
      const bool may_come = mask.forced.empty() ? (token == kEndOfBytes && mask.is_end) || (!mask.is_end && mask.Allows(token))
                                                : mask.forced.front() == token;
      if (at == text.size() || !may_come) return std::string(text.substr(0, at)) + (at == text.size() && may_come ? "$" : "");
      constraint->Accept(token);
    }
  }
  static std::string Until(const std::vector<std::string>& excluded, const std::string& end, std::string_view not_first = {}) {
    return "root ::= text \"" + end + "\"\n" + RulesWithout(excluded, not_first, "text");
  }

  GrammarCompiler compiler_{ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}}};
};

TEST_F(TextRulesTest, ATextEndsAtTheFirstMark) {
  const std::string rules = Until({"</p>"}, "</p>");
  for (const std::string text : {"</p>", "a</p>", "a<</p>", "</</p>", "<p></p></p>", "é</q></p>", "\n\t</p>"}) {
    const bool has_two = text == "<p></p></p>";
    EXPECT_EQ(Walk(rules, text), has_two ? "<p></p>" : text + "$") << text;
  }
  EXPECT_EQ(Walk(Until({"aab"}, "aab"), "aaab"), "aaab$") << "its beginning may repeat";
  EXPECT_EQ(Walk(Until({"</p>", "<![", "]]"}, "</p>"), "a]<!["), "a]<!");
  EXPECT_EQ(Walk(Until({"</｜p>"}, "</｜p>"), "a</｜</｜p>"), "a</｜</｜p>$");
}

TEST_F(TextRulesTest, ATextMayNotBeginAnyhow) {
  const std::string rules = Until({"</p>"}, "</p>", "0{");
  EXPECT_EQ(Walk(rules, "{}</p>"), "");
  EXPECT_EQ(Walk(rules, "a0{</p>"), "a0{</p>$");
  EXPECT_EQ(Walk(rules, "<</p>"), "<</p>$");
  EXPECT_EQ(Walk(Until({"</p>"}, "</p>", "<"), "</p>"), "</p>$") << "the mark itself";
  EXPECT_EQ(Walk(Until({"</p>"}, "</p>", "<"), "<a"), "<");
}

TEST_F(TextRulesTest, CharactersAreCounted) {
  const std::string rules = "root ::= " + CharactersWithout("<", 1, 3) + " \"</p>\"";
  EXPECT_EQ(Walk(rules, "</p>"), "");
  EXPECT_EQ(Walk(rules, "aéb</p>"), "aéb</p>$");
  EXPECT_EQ(Walk(rules, "abcd"), "abc");
  EXPECT_EQ(Walk("root ::= " + CharactersWithout("<", 2, {}) + " \"<\"", "abcd<"), "abcd<$");
}

TEST_F(TextRulesTest, LiteralsAreTheirTexts) {
  const std::string text = "a\"\\\n]é<|x|>";
  EXPECT_EQ(Walk("root ::= " + LiteralRule(text), text), text + "$");
  EXPECT_EQ(Walk("root ::= " + LiteralRule(""), ""), "$");
}

}  // namespace
}  // namespace cllm
