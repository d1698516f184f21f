#include "grammar/triggered_constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

using Settings = TriggeredConstraint::Settings;

// What follows "<call>" is a digit and "</call>".
class TriggeredConstraintTest : public testing::Test {
 protected:
  TriggeredConstraintTest() {
    const auto compiled = compiler_.Compile(GrammarSource::Of(GrammarPart::Kind::kEbnf, R"(root ::= "<call>" [0-9]+ "</call>")"), 0, {});
    EXPECT_TRUE(compiled);
    grammar_ = *compiled;
  }

  Settings Calls() {
    return {.triggers = {{.words = {"<call>"}}, {.words = {"<also>"}}},
            .ends = {kEndOfBytes},
            .bytes = [](std::int32_t token) { return token == kEndOfBytes ? "" : std::string(1, static_cast<char>(token)); },
            .begin =
                [this](std::string begun) {
                  begun_.push_back(begun);
                  return compiler_.Constrain(grammar_, std::move(begun));
                }};
  }

  // The text byte by byte, as far as it may come; "|" where only a part may come next, "$" where the answer ends.
  static std::string Walk(Settings settings, std::string_view text) {
    TriggeredConstraint constraint(std::move(settings));
    std::string came;
    for (std::size_t at = 0;; ++at) {
      const auto next = constraint.Next(std::chrono::seconds(60));
      if (!next || !*next) return came + "!";
      const TokenMask mask = **next;
      if (mask.is_end) return came + "$";
      if (!mask.allowed.empty() || !mask.forced.empty()) came += '|';
      if (at == text.size()) return came;
      const auto token = static_cast<unsigned char>(text[at]);
      if (mask.forced.empty() ? !mask.Allows(token) : mask.forced.front() != token) return came;
      came += text[at];
      constraint.Accept(token);
    }
  }

  static std::string Unmarked(std::string text) {
    std::erase(text, '|');
    return text;
  }

  GrammarCompiler compiler_{ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}}};
  std::shared_ptr<const CompiledGrammar> grammar_;
  std::vector<std::string> begun_;
};

TEST_F(TriggeredConstraintTest, TextIsFreeUntilACallBegins) {
  EXPECT_EQ(Walk(Calls(), "Any <text> <cal l>"), "Any <text> <cal l>") << "no mask at all";
  EXPECT_TRUE(begun_.empty());
  EXPECT_EQ(Walk(Calls(), "So: <call>x"), "So: <call>|") << "from there on the grammar's";
  EXPECT_EQ(begun_, std::vector<std::string>{"<call>"});
}

TEST_F(TriggeredConstraintTest, WhatFollowsACallIsFreeAgain) {
  const std::string text = "<call>12</call> and <call>3</call>.";
  const std::string came = Walk(Calls(), text);
  EXPECT_EQ(Unmarked(came), text);
  EXPECT_TRUE(came.ends_with("|>.")) << came;
  EXPECT_EQ(begun_.size(), 2U);
}

TEST_F(TriggeredConstraintTest, WhereThereMayBeOneItIsTheEnd) {
  Settings once = Calls();
  once.once = true;
  EXPECT_EQ(Unmarked(Walk(once, "See <call>12</call> and <call>3</call>.")), "See <call>12</call>$");
}

TEST_F(TriggeredConstraintTest, ATokenMayBringMoreThanTheTrigger) {
  std::vector<std::string> pieces = {"a <cal", "l>4", "x", "<call>y<ca", "ll>5"};
  Settings settings = Calls();
  settings.bytes = [&pieces](std::int32_t token) { return pieces.at(static_cast<std::size_t>(token)); };
  TriggeredConstraint constraint(std::move(settings));
  constraint.Accept(0);
  EXPECT_TRUE(begun_.empty());
  constraint.Accept(1);
  EXPECT_EQ(begun_, std::vector<std::string>{"<call>4"});
  const auto next = constraint.Next(std::chrono::seconds(60));
  ASSERT_TRUE(next && *next);
  EXPECT_TRUE((**next).Allows('5') && (**next).Allows('<') && !(**next).Allows('x'));
}

TEST_F(TriggeredConstraintTest, WhatCannotBeACallIsText) {
  const std::vector<std::string> pieces = {"<call>y<ca", "ll>5", "<also>"};
  Settings settings = Calls();
  settings.bytes = [&pieces](std::int32_t token) { return pieces.at(static_cast<std::size_t>(token)); };
  TriggeredConstraint constraint(std::move(settings));
  const auto is_free = [&constraint] {
    const auto next = constraint.Next(std::chrono::seconds(60));
    return next && *next && (**next).allowed.empty() && (**next).forced.empty() && !(**next).is_end;
  };
  EXPECT_TRUE(is_free());
  constraint.Accept(2);
  EXPECT_TRUE(is_free()) << "the grammar has no such call";
  constraint.Accept(0);
  EXPECT_TRUE(is_free()) << "nor does one begin with y";
  constraint.Accept(1);
  EXPECT_FALSE(is_free()) << "a trigger stands across both";
  EXPECT_EQ(begun_, (std::vector<std::string>{"<also>", "<call>y<ca", "<call>5"}));
}

TEST_F(TriggeredConstraintTest, WhereATriggerStandsMayMatter) {
  Settings headed = Calls();
  headed.triggers = {{.words = {"<call>"}, .behind = "to:", .begins = true}};
  EXPECT_EQ(Walk(headed, "<call>x"), "<call>|") << "at the beginning";
  EXPECT_EQ(Walk(headed, "a <call>x"), "a <call>x");
  EXPECT_EQ(Walk(headed, "a to:<call>x"), "a to:<call>|") << "behind what leads to it";
  EXPECT_EQ(Unmarked(Walk(headed, "<call>1</call><call>x")), "<call>1</call><call>x") << "what follows a call is no beginning";
  EXPECT_EQ(begun_, (std::vector<std::string>{"<call>", "<call>", "<call>"}));
}

TEST_F(TriggeredConstraintTest, ThoughtsOpenNothing) {
  Settings settings = Calls();
  settings.marks = {.start = "<think>", .ends = {"</think>"}};
  EXPECT_EQ(Unmarked(Walk(settings, "\n<think>a <call>x</think>b<call>1y")), "\n<think>a <call>x</think>b<call>1");
  EXPECT_EQ(Unmarked(Walk(settings, "<call>1y")), "<call>1") << "there are none";
  settings.marks.is_open = true;
  EXPECT_EQ(Unmarked(Walk(settings, "a <call>x</think>b<call>1y")), "a <call>x</think>b<call>1");
  settings.marks.ends.emplace_back("<call>");
  EXPECT_EQ(Unmarked(Walk(settings, "a <call>x</think>b")), "a <call>") << "a call ends them";
}

}  // namespace
}  // namespace cllm
