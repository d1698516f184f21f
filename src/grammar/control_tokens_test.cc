// Control tokens in masks: those that a frame names where it names them, and no others anywhere.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "grammar/frame.h"
#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

constexpr std::int32_t kOpenMark = 257, kCloseMark = 258, kOtherMark = 259;

Vocabulary WithControls() {
  Vocabulary vocabulary = ByteVocabulary();
  vocabulary.pieces.resize(kOtherMark + 1);
  return vocabulary;
}

GrammarSource Framed(std::string frame, std::vector<GrammarPart> parts = {}) {
  return {.parts = std::move(parts), .frame = std::move(frame), .tokens = {{"<open>", kOpenMark}, {"<close>", kCloseMark}}};
}

class ControlTokensTest : public testing::Test {
 protected:
  // Token by token, "(" and ")" for the two that the frame may name; up to what may not come. Behind it what else may come there of
  // the control tokens, and "$" where the answer may end.
  std::string Walk(const GrammarSource& source, std::string_view text, const std::string& begun = {}) {
    const auto grammar = compiler_.Compile(source, 0, {});
    if (!grammar) return "not compiled: " + grammar.error().message;
    const auto constraint = compiler_.Constrain(*grammar, begun);
    std::string came;
    while (true) {
      const auto next = constraint->Next(std::chrono::seconds(60));
      if (!next || !*next) return came + "!";
      const TokenMask mask = **next;
      const bool is_forced = !mask.forced.empty();
      const auto may_come = [&](std::int32_t token) {
        return is_forced ? mask.forced.front() == token : !mask.is_end && mask.Allows(token);
      };
      const std::int32_t token = came.size() == text.size() ? -1 : TokenOf(text[came.size()]);
      if (token >= 0 && may_come(token)) {
        came += text[came.size()];
        constraint->Accept(token);
        continue;
      }
      for (const auto& [control, name] : {std::pair(kOpenMark, '('), std::pair(kCloseMark, ')'), std::pair(kOtherMark, '?')}) {
        if (may_come(control)) came += std::string("|") + name;
      }
      return came + (mask.is_end || (!is_forced && mask.Allows(kEndOfBytes)) ? "$" : "");
    }
  }

  GrammarCompiler compiler_{WithControls, {.compile_command = {CLLM_GRAMMAR_CHILD}}};

 private:
  static std::int32_t TokenOf(char c) { return c == '(' ? kOpenMark : c == ')' ? kCloseMark : static_cast<unsigned char>(c); }
};

TEST_F(ControlTokensTest, StandWhereTheFrameWritesTheirTexts) {
  const GrammarSource source = Framed("root ::= \"a<open>\" word \"<close><close>!\"\nword ::= [^<]*\n");
  EXPECT_EQ(Walk(source, "a(xyz))!"), "a(xyz))!$");
  EXPECT_EQ(Walk(source, "a<open>"), "a|(") << "not in letters";
  EXPECT_EQ(Walk(source, "a(x"), "a(x|)") << "nor any other";
  EXPECT_EQ(Walk(source, "a(x)"), "a(x)|)");
  EXPECT_EQ(Walk(source, ""), "");
}

TEST_F(ControlTokensTest, ARepetitionCountsForAllOfALiteral) {
  const GrammarSource source = Framed(R"(root ::= ("x" "<open>y<close>"?){1,2})");
  EXPECT_EQ(Walk(source, "xx(y)"), "xx(y)$");
  EXPECT_EQ(Walk(source, "x(yx"), "x(y|)");
}

TEST_F(ControlTokensTest, NeverComeWithinTexts) {
  const GrammarPart text{.kind = GrammarPart::Kind::kJsonSchema, .text = R"({"type":"string"})", .place = "\"#0\""};
  const GrammarPart any{.kind = GrammarPart::Kind::kJsonSchema, .text = "{}", .place = "\"#1\""};
  const GrammarPart pattern{.kind = GrammarPart::Kind::kRegex, .text = "q.*[^a]?", .place = "\"#2\""};
  const GrammarSource source = Framed("root ::= \"<open>\" (\"#0\" | \"#1\" | \"#2\") \"<close>\"", {text, any, pattern});
  EXPECT_EQ(Walk(source, "(\"ab"), "(\"ab");
  EXPECT_EQ(Walk(source, "([\"ab"), "([\"ab");
  EXPECT_EQ(Walk(source, "(qab"), "(qab|)") << "where the pattern may end";
  EXPECT_EQ(Walk(source, "(\"ab\")"), "(\"ab\")$");
  EXPECT_EQ(Walk(source, "({\"a\": 1})"), "({\"a\": 1})$");
}

TEST_F(ControlTokensTest, AreNotForRulesOfOthers) {
  const auto rules = [](const char* text) { return GrammarSource::Of(GrammarPart::Kind::kEbnf, text); };
  EXPECT_EQ(Walk(rules("root ::= \"a\" ExcludeToken(98)"), "a"), "a$") << "any token, but for control tokens";
  EXPECT_EQ(Walk(rules("root ::= \"a\" (Token(259) | \"c\")"), "ac"), "ac$");
  EXPECT_EQ(Walk(rules("root ::= \"a\" (Token(259) | \"c\" | \"d\")"), "a"), "a");
}

TEST_F(ControlTokensTest, MayHaveComeBefore) {
  GrammarSource source = Framed(R"(root ::= "<open>to=" [a-z]+ "<close>")");
  EXPECT_EQ(Walk(source, "b)", "<open>to=a"), "b)$");
  source.begun = "<open>";
  EXPECT_EQ(Walk(source, "to=b)"), "to=b)$");
  EXPECT_EQ(Walk(source, "b)", "to="), "b)$") << "the prompt's beginning, then the answer's";
  EXPECT_EQ(Walk(source, "b)", "no="), "!");
}

TEST(FrameTest, PutsTokensIntoLiterals) {
  const std::vector<GrammarToken> tokens = {{"<a>", 5}, {"<a>b", 6}};
  EXPECT_EQ(WithTokens("root ::= \"x<a>y\" [\"<a>] \"z\"\n", tokens), "root ::= (\"x\" Token(5) \"y\") [\"<a>] \"z\"\n");
  EXPECT_EQ(WithTokens(R"("<a>b<a>"? "\"<a>")", tokens), R"((Token(6) Token(5))? ("\"" Token(5)))");
  EXPECT_EQ(WithTokens("\"<a>\"", {}), "\"<a>\"");
  const std::vector<GrammarToken> quoted = {{"\">", 7}, {"\n", 8}};
  EXPECT_EQ(WithTokens(R"("a=\">\n")", quoted), R"(("a=" Token(7) Token(8)))") << "as a literal writes them";
}

}  // namespace
}  // namespace cllm
