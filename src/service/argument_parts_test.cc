#include "service/argument_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

using Form = FramedArgument::Form;

class ArgumentPartsTest : public testing::Test {
 protected:
  // How far the value of an argument with this schema may come, and its mark; "$" where that is all.
  std::string Walk(Form form, const std::string& schema, std::string text) {
    GrammarSource source = Framed();
    const ChatTool tool{.name = "t", .enforced = R"({"type":"object","properties":{"a":)" + schema + "}" + definitions_ + "}"};
    const auto relaxed = PlaceArguments({Argument(form)}, {tool}, source);
    if (!relaxed) return relaxed.error().message;
    const auto grammar = compiler_.Compile(source, 0, {});
    if (!grammar) return grammar.error().message + source.frame;
    const auto constraint = compiler_.Constrain(*grammar);
    text += "</a>";
    for (std::size_t at = 0;; ++at) {
      const auto next = constraint->Next(std::chrono::seconds(60));
      if (!next || !*next) return "!";
      const TokenMask mask = **next;
      if (at == text.size()) return mask.is_end || mask.Allows(kEndOfBytes) ? "$" : text;
      const std::int32_t token = static_cast<unsigned char>(text[at]);
      if (mask.is_end || !(mask.forced.empty() ? mask.Allows(token) : mask.forced.front() == token)) return text.substr(0, at);
      constraint->Accept(token);
    }
  }
  std::string WhyRefused(Form form, const std::string& schema, bool is_strict = true) {
    GrammarSource source = Framed();
    ChatTool tool{.name = "t", .enforced = R"({"type":"object","properties":{"a":)" + schema + "}}", .place = "tools[0]"};
    tool.is_strict = is_strict;
    const auto relaxed = PlaceArguments({Argument(form)}, {tool}, source);
    return relaxed ? fmt::format("{}", fmt::join(*relaxed, ",")) : relaxed.error().message;
  }
  static FramedArgument Argument(Form form) {
    FramedArgument argument{.name = "a", .form = form, .place = PlaceOfArgument(0, 0)};
    if (form != Form::kJson) argument.excluded = {"</a>"};
    return argument;
  }
  static GrammarSource Framed() { return {.parts = {}, .frame = "root ::= " + PlaceOfArgument(0, 0) + " \"</a>\"\n"}; }

  std::string definitions_;
  GrammarCompiler compiler_{ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}}};
};

TEST_F(ArgumentPartsTest, StringsAreTexts) {
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string"})", "a \"b\"\n<c"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"enum":["x","y</a>","z\n",7]})", "z\n"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"enum":["x","y</a>"]})", "y"), "");
  EXPECT_EQ(Walk(Form::kText, R"({"enum":["x",7]})", "7"), "") << "it would be a string";
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","pattern":"^[a-c]{2}$"})", "ab"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","pattern":"^[a-c]{2}$"})", "abc"), "ab");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","format":"uuid"})", "0f000000-0000-0000-0000-000000000000"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","minLength":2,"maxLength":3})", "é\"\n"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","minLength":2,"maxLength":3})", "a"), "a");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","maxLength":3})", "abcd"), "abc");
}

TEST_F(ArgumentPartsTest, WhatIsReadAsAStringKeepsTheStringsOfAUnion) {
  EXPECT_EQ(Walk(Form::kText, R"({"anyOf":[{"type":"string","maxLength":2},{"type":"null"}]})", "null"), "nu");
  EXPECT_EQ(Walk(Form::kText, R"({"anyOf":[{"const":"x"},{"const":"y"},{"type":"integer"}]})", "y"), "$");
  EXPECT_EQ(Walk(Form::kText, "{}", "any"), "$");
  definitions_ = R"(,"$defs":{"unit":{"enum":["m","s"]}})";
  EXPECT_EQ(Walk(Form::kText, R"({"$ref":"#/$defs/unit"})", "s"), "$");
  EXPECT_EQ(Walk(Form::kText, R"({"$ref":"#/$defs/unit"})", "x"), "");
}

TEST_F(ArgumentPartsTest, OthersAreJson) {
  EXPECT_EQ(Walk(Form::kJson, R"({"type":"integer","minimum":1,"maximum":9})", "7"), "$");
  EXPECT_EQ(Walk(Form::kJson, R"({"type":"integer","minimum":1,"maximum":9})", "70"), "7");
  definitions_ = R"(,"$defs":{"unit":{"enum":["m","s"]}})";
  EXPECT_EQ(Walk(Form::kJson, R"({"type":"array","items":{"$ref":"#/$defs/unit"}})", R"(["m", "s"])"), "$");
  EXPECT_EQ(Walk(Form::kJson, R"({"type":"array","items":{"$ref":"#/$defs/unit"}})", R"(["x)"), R"([")");
  EXPECT_EQ(Walk(Form::kJson, R"({"type":"array","items":{"$ref":"#"}})", R"([{"a": [{}]}])"), "$") << "all arguments again";
}

TEST_F(ArgumentPartsTest, WhereJsonIsReadFirstATextIsNone) {
  const std::string schema = R"({"anyOf":[{"type":"string"},{"type":"integer","maximum":7,"minimum":5}]})";
  EXPECT_EQ(Walk(Form::kJsonOrText, schema, "6"), "$");
  EXPECT_EQ(Walk(Form::kJsonOrText, schema, "8"), "");
  EXPECT_EQ(Walk(Form::kJsonOrText, schema, "six 8"), "$");
  EXPECT_EQ(Walk(Form::kJsonOrText, R"({"anyOf":[{"type":"string"},{"type":"null"}]})", "null and void"), "$");
  EXPECT_EQ(Walk(Form::kJsonOrText, R"({"enum":["a",1,"2",true]})", "true"), "$");
  EXPECT_EQ(Walk(Form::kJsonOrText, R"({"enum":["a",1,"2",true]})", "2"), "") << "it would be a number";
}

TEST_F(ArgumentPartsTest, WhatNoTextCanBeHeldToIsRefused) {
  EXPECT_EQ(WhyRefused(Form::kText, R"({"type":"string","pattern":"^.*$"})"),
            "tools[0]/properties/a: 'pattern' is not enforced where arguments are written as text and it may match '<'");
  EXPECT_EQ(WhyRefused(Form::kText, R"({"type":"string","pattern":"^.*$"})", /*is_strict=*/false), "tools[0]/properties/a");
  EXPECT_EQ(Walk(Form::kText, R"({"type":"string","pattern":"^.*$"})", "a<b"), "$") << "left out";
  EXPECT_TRUE(WhyRefused(Form::kText, R"({"enum":["x</a>"]})").contains("/properties/a: 'schema'"));
  EXPECT_TRUE(WhyRefused(Form::kJsonOrText, R"({"anyOf":[{"type":"string","maxLength":3},{"type":"integer"}]})").contains("'type'"));
  EXPECT_EQ(WhyRefused(Form::kJson, R"({"type":"array","items":{"type":"string","pattern":"^.*$"}})"), "") << "in quotes it may";
}

TEST(PatternTest, KnowsWhatAPatternMayWrite) {
  for (const char* pattern : {"a<b", "a.b", "[^a]", "[ -~]", "[a<]", "\\S", "\\x3c", "[\\W]", "(?<n>a)", "\\<", "[0-\\x60]"}) {
    EXPECT_TRUE(PatternMayWrite(pattern, '<')) << pattern;
  }
  for (const char* pattern :
       {"^[a-z]{2,4}-[0-9]$", "[^<]+", "\\d+\\.\\w", "[.]", "a|b?(c)*", "[^a<-z]", "[A-Z]", "[-a]", "\\[", "[\\]a]"}) {
    EXPECT_FALSE(PatternMayWrite(pattern, '<')) << pattern;
  }
}

}  // namespace
}  // namespace cllm
