#include "grammar/thoughts.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

std::string ByteOf(std::int32_t token) { return std::string(1, static_cast<char>(token)); }

std::vector<std::int32_t> TokensOf(std::string_view text) {
  std::vector<std::int32_t> tokens;
  for (const unsigned char byte : text) tokens.push_back(byte);
  return tokens;
}

const ThoughtMarks kMarks{.start = "<think>", .ends = {"</think>", "<|done|>"}};
const ThoughtMarks kOpen{.start = "<think>", .ends = {"</think>"}, .is_open = true};

TEST(ThoughtTrackerTest, GivesWhatStandsBehindThoughts) {
  struct Case {
    ThoughtMarks marks;
    std::string text;
    std::string behind;
  };
  const Case cases[] = {
      {kMarks, "<think>a</think>b", "</think>b"},
      {kMarks, " \n<think>a</thin</think>b</think>", "</think>b</think>"},
      {kMarks, "<think>a<|done|>b", "<|done|>b"},
      {kMarks, "<thing>a</think>", "<thing>a</think>"},
      {kMarks, "b<think>a</think>", "b<think>a</think>"},
      {kMarks, "<think>a", ""},
      {kOpen, "a</think>b", "</think>b"},
      {kOpen, "<think>a</think>b", "</think>b"},
      {{.start = "", .ends = {"</think>"}}, "a</think>b", "</think>b"},
      {{}, "<think>a", "<think>a"},
  };
  for (const Case& c : cases) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}, c.text.size()}) {
      ThoughtTracker tracker(c.marks);
      std::string behind;
      for (std::size_t at = 0; at < c.text.size(); at += size) behind += tracker.Add(std::string_view(c.text).substr(at, size));
      EXPECT_EQ(behind, c.behind) << c.text << " by " << size;
      EXPECT_EQ(tracker.thinks(), c.behind.empty()) << c.text;
    }
  }
}

// The model goes on with `text` byte by byte wherever it may; what has come in the end.
std::string Answer(const ThoughtMarks& marks, int most, std::string_view text, std::shared_ptr<TokenConstraint> inner = nullptr) {
  ThoughtBudget budget({.marks = marks, .most_tokens = most, .closing = TokensOf("</think>"), .bytes = ByteOf}, std::move(inner));
  std::string came;
  while (true) {
    const auto next = budget.Next(std::chrono::seconds(60));
    if (!next || !*next) return came + "!";
    const TokenMask mask = **next;
    if (mask.is_end) return came + "$";
    std::int32_t token = 0;
    if (!mask.forced.empty()) {
      token = mask.forced.front();
    } else {
      if (text.empty()) return came;
      token = static_cast<unsigned char>(text.front());
      text.remove_prefix(1);
      if (!mask.Allows(token)) return came + "?";
    }
    came += ByteOf(token);
    budget.Accept(token);
  }
}

TEST(ThoughtBudgetTest, ClosesThoughtsAtItsEnd) {
  EXPECT_EQ(Answer(kOpen, 4, "Let me see."), "Let </think>me see.");
  EXPECT_EQ(Answer(kMarks, 4, "<think>Let me see."), "<think>Let </think>me see.") << "what opens them isn't counted";
  EXPECT_EQ(Answer(kOpen, 0, "Yes."), "</think>Yes.");
  EXPECT_EQ(Answer(kMarks, 0, "<think>Yes."), "<think></think>Yes.");
}

TEST(ThoughtBudgetTest, LeavesAllElseAlone) {
  EXPECT_EQ(Answer(kOpen, 40, "Let me see.</think>Yes. <think>"), "Let me see.</think>Yes. <think>");
  EXPECT_EQ(Answer(kMarks, 0, "Yes, all of it."), "Yes, all of it.") << "there are no thoughts";
  EXPECT_EQ(Answer({}, 0, "Yes."), "Yes.");
}

TEST(ThoughtBudgetTest, ACharacterIsNotCut) {
  EXPECT_EQ(Answer(kOpen, 1, "é😀x"), "é</think>😀x");
  EXPECT_EQ(Answer(kOpen, 3, "é😀x"), "é😀</think>x");
  EXPECT_EQ(Answer(kOpen, 4, "é😀x"), "é😀</think>x");
  EXPECT_EQ(Answer(kOpen, 5, "é😀x"), "é😀</think>x");
}

TEST(ThoughtBudgetTest, AGrammarGoesOnBehindIt) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  const auto answer = [&compiler](const char* grammar, int most, std::string_view text) {
    const auto compiled = compiler.Compile(GrammarSource::Of(GrammarPart::Kind::kEbnf, grammar), 0, {});
    EXPECT_TRUE(compiled);
    return Answer(kOpen, most, text, compiler.Constrain(*compiled));
  };
  constexpr char kThoughtsThenDigits[] = R"(root ::= [a-z ]* "</think>" [0-9]+ "!")";
  EXPECT_EQ(answer(kThoughtsThenDigits, 3, "let12!"), "let</think>12!$");
  EXPECT_EQ(answer(kThoughtsThenDigits, 30, "let<12!"), "let</think>12!$");
  EXPECT_EQ(answer(R"(root ::= [a-z ]{5} "</think>" [0-9])", 3, "let m1"), "let m</think>1$") << "not before the grammar lets it";
  EXPECT_EQ(answer(R"(root ::= [a-z ]* "</thanks>")", 3, "let"), "let</thanks>$") << "nor against it";
}

}  // namespace
}  // namespace cllm
