#include "grammar/grammar_compiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/compile_job.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

using Kind = GrammarPart::Kind;

GrammarSource Of(Kind kind, std::string text) { return GrammarSource::Of(kind, std::move(text)); }

// And a few longer tokens.
Vocabulary Bytes() {
  Vocabulary vocabulary = ByteVocabulary();
  for (const char* piece : {"true", "{\"", "\":", "name", "ab"}) vocabulary.pieces.emplace_back(piece);
  return vocabulary;
}

GrammarOptions WithChild() { return {.compile_command = {CLLM_GRAMMAR_CHILD}}; }

Result<std::optional<TokenMask>> Patiently(TokenConstraint& constraint) { return constraint.Next(std::chrono::seconds(60)); }

// Where the text goes byte by byte as far as the grammar lets it: the bytes that came, "$" at the end where it may end there, "!" where
// there was an error.
std::string Walk(GrammarCompiler& compiler, const GrammarSource& source, std::string_view text) {
  const auto grammar = compiler.Compile(source, 0, {});
  if (!grammar) return "not compiled: " + grammar.error().message;
  const auto constraint = compiler.Constrain(*grammar);
  std::string came;
  while (true) {
    const auto next = Patiently(*constraint);
    if (!next) return came + "!";
    const TokenMask& mask = **next;
    if (came.size() == text.size()) return came + (mask.is_end || (mask.forced.empty() && mask.Allows(kEndOfBytes)) ? "$" : "");
    if (!mask.forced.empty()) {
      const std::string piece = Bytes().pieces[static_cast<std::size_t>(mask.forced.front())];
      if (!text.substr(came.size()).starts_with(piece)) return came;
      came += piece;
      constraint->Accept(mask.forced.front());
      continue;
    }
    const std::int32_t token = static_cast<unsigned char>(text[came.size()]);
    if (mask.is_end || !mask.Allows(token)) return came;
    came += text[came.size()];
    constraint->Accept(token);
  }
}

constexpr char kPerson[] = R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},)"
                           R"("required":["name","age"],"additionalProperties":false})";

TEST(GrammarCompilerTest, LetsWhatKeepsTheSchemaCome) {
  GrammarCompiler compiler(Bytes, WithChild());
  const GrammarSource schema = Of(Kind::kJsonSchema, kPerson);
  const std::string good = R"({"name":"Zoë","age":3})";
  EXPECT_EQ(Walk(compiler, schema, good), good + "$");
  const std::string spaced = "{\n  \"name\": \"\",\n  \"age\": -12\n}";
  EXPECT_EQ(Walk(compiler, schema, spaced), spaced + "$");
  EXPECT_EQ(Walk(compiler, schema, R"({"name":"x","age":"3"})"), R"({"name":"x","age":)");
  EXPECT_EQ(Walk(compiler, schema, R"({"age":3})"), R"({")");
  EXPECT_EQ(Walk(compiler, schema, R"({"name":"x"})"), R"({"name":"x")");
  EXPECT_EQ(Walk(compiler, schema, "no"), "");
}

TEST(GrammarCompilerTest, KnowsRegularExpressionsAndRules) {
  GrammarCompiler compiler(Bytes, WithChild());
  EXPECT_EQ(Walk(compiler, Of(Kind::kRegex, "[a-c]{2,3}x?"), "abx"), "abx$");
  EXPECT_EQ(Walk(compiler, Of(Kind::kRegex, "[a-c]{2,3}x?"), "ad"), "a");
  EXPECT_EQ(Walk(compiler, Of(Kind::kEbnf, "root ::= \"yes\" | \"no\""), "no"), "no$");
  EXPECT_EQ(Walk(compiler, Of(Kind::kEbnf, "root ::= \"yes\" | \"no\""), "maybe"), "");
}

TEST(GrammarCompilerTest, PutsPartsIntoAFrame) {
  GrammarCompiler compiler(Bytes, WithChild());
  GrammarSource source{.parts = {{Kind::kJsonSchema, kPerson, "\"#0\""},
                                 {Kind::kRegex, "\\[root ::= [a-z]+\\]", "\"#1\""},
                                 {Kind::kEbnf, "root ::= other{2}\nother ::= [xy\"]", "\"#2\""}}};
  source.frame =
      "root ::= \"ask:\" space (one | two | \"#2\") \".\"\none ::= \"one(\" \"#0\" \")\"\ntwo ::= \"#1\"\nspace ::= \"\" | \" \"\n";
  for (const std::string good : {R"(ask: one({"name":"Bo","age":1}).)", "ask:[root ::= abc].", "ask: x\"."}) {
    EXPECT_EQ(Walk(compiler, source, good), good + "$");
  }
  EXPECT_EQ(Walk(compiler, source, R"(ask:one({"name":1}))"), R"(ask:one({"name":)");
  source.begun = "ask:";
  EXPECT_EQ(Walk(compiler, source, "one({\"age"), "one({\"");
  source.begun = "tell:";
  EXPECT_EQ(Walk(compiler, source, "one"), "!");
}

TEST(GrammarCompilerTest, BoundsWhitespace) {
  GrammarCompiler compiler(Bytes, WithChild());
  const std::string got = Walk(compiler, Of(Kind::kJsonSchema, kPerson), "{" + std::string(1000, '\n'));
  EXPECT_LT(got.size(), 40U);
  EXPECT_GT(got.size(), 8U);
}

TEST(GrammarCompilerTest, ForcesWhatHasToCome) {
  GrammarCompiler compiler(Bytes, WithChild());
  const auto grammar = compiler.Compile(Of(Kind::kRegex, "x(hello|help)"), 0, {});
  ASSERT_TRUE(grammar) << grammar.error().message;
  const auto constraint = compiler.Constrain(*grammar);
  const auto first = Patiently(*constraint);
  ASSERT_TRUE(first);
  std::string forced;
  for (const std::int32_t token : (**first).forced) forced += static_cast<char>(token);
  EXPECT_EQ(forced, "xhel");
  for (const char c : forced) constraint->Accept(c);
  const auto then = Patiently(*constraint);
  ASSERT_TRUE(then);
  EXPECT_TRUE((**then).Allows('l') && (**then).Allows('p') && !(**then).Allows('h'));
}

TEST(GrammarCompilerTest, SaysWhereNothingMayCome) {
  Vocabulary letters{.pieces = {"a", ""}, .ends = {1}};
  GrammarCompiler compiler([letters] { return letters; }, WithChild());
  const auto grammar = compiler.Compile(Of(Kind::kRegex, "[ab][bc]"), 0, {});
  ASSERT_TRUE(grammar) << grammar.error().message;
  const auto constraint = compiler.Constrain(*grammar);
  const auto first = Patiently(*constraint);
  ASSERT_TRUE(first && !(**first).forced.empty());
  constraint->Accept(0);
  const auto then = Patiently(*constraint);
  ASSERT_FALSE(then);
  EXPECT_NE(then.error().message.find("no way on after 1 tokens"), std::string::npos) << then.error().message;
  EXPECT_EQ(then.error().code, ErrorCode::kInvalidArgument) << "the grammar is the request's";
}

TEST(GrammarCompilerTest, CompilesOnce) {
  GrammarCompiler compiler(Bytes, WithChild());
  const auto first = compiler.Compile(Of(Kind::kRegex, "a+"), 0, {});
  const auto again = compiler.Compile(Of(Kind::kRegex, "a+"), 0, {});
  const auto other = compiler.Compile(Of(Kind::kEbnf, "root ::= \"a+\""), 0, {});
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(*first, *again);
  EXPECT_NE(*first, *other);
  EXPECT_EQ(compiler.stats().compiled, 2);
  EXPECT_EQ(compiler.stats().found, 1);
  EXPECT_GT(compiler.stats().cache_bytes, 0);
  ASSERT_TRUE(compiler.Compile(Of(Kind::kRegex, "a+"), 7, {}));
  EXPECT_EQ(compiler.stats().compiled, 3) << "of another root nothing is found";
}

TEST(GrammarCompilerTest, KeepsNoMoreThanItMay) {
  GrammarOptions options = WithChild();
  options.limits.max_cache_mb = 0;
  GrammarCompiler compiler(Bytes, options);
  ASSERT_TRUE(compiler.Compile(Of(Kind::kRegex, "a+"), 0, {}));
  EXPECT_EQ(compiler.stats().cache_bytes, 0);
}

TEST(GrammarCompilerTest, ABadGrammarIsAnErrorThatSaysWhy) {
  GrammarCompiler compiler(Bytes, WithChild());
  for (const GrammarSource& source : {Of(Kind::kEbnf, "root ::= other"), Of(Kind::kEbnf, "no rules"), Of(Kind::kRegex, "(unclosed"),
                                      Of(Kind::kJsonSchema, R"({"type":"nothing"})"), Of(Kind::kEbnf, "")}) {
    const auto grammar = compiler.Compile(source, 0, {});
    ASSERT_FALSE(grammar) << source.Key();
    EXPECT_EQ(grammar.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(grammar.error().message.find(".cc"), std::string::npos) << grammar.error().message;
  }
  EXPECT_EQ(compiler.stats().refused, 5);
}

TEST(GrammarCompilerTest, WhatIsRefusedOnceNeedsNoChildAgain) {
  GrammarOptions slow{.compile_command = {"/bin/sh", "-c", "exec sleep 1000"}};
  slow.limits.compile_timeout_s = 0.02;
  GrammarCompiler compiler(Bytes, slow);
  const auto first = compiler.Compile(Of(Kind::kRegex, "a"), 0, {});
  ASSERT_FALSE(first);
  // A child would be stopped at once, with this error.
  const auto again = compiler.Compile(Of(Kind::kRegex, "a"), 0, [] { return Status(Fail(ErrorCode::kCancelled, "enough")); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), first.error());
  EXPECT_EQ(compiler.stats().refused, 2);
}

TEST(GrammarCompilerTest, AChildThatDoesNotEndOrDiesIsAnError) {
  GrammarOptions slow{.compile_command = {"/bin/sh", "-c", "exec sleep 1000"}};
  slow.limits.compile_timeout_s = 0.02;
  const auto late = GrammarCompiler(Bytes, slow).Compile(Of(Kind::kRegex, "a"), 0, {});
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("time"), std::string::npos);
  const auto dead = GrammarCompiler(Bytes, {.compile_command = {"/bin/sh", "-c", "kill -SEGV $$"}}).Compile(Of(Kind::kRegex, "a"), 0, {});
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().code, ErrorCode::kInvalidArgument);
}

TEST(GrammarCompilerTest, AStopEndsTheChild) {
  GrammarCompiler compiler(Bytes, {.compile_command = {"/bin/sh", "-c", "exec sleep 1000"}});
  const auto stopped = compiler.Compile(Of(Kind::kRegex, "a"), 0, [] { return Status(Fail(ErrorCode::kCancelled, "enough")); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

// Exponential, deep and huge grammars: refused, or compiled; never more than the bounds.
TEST(GrammarCompilerTest, AHostileGrammarEndsWithinItsBounds) {
  GrammarOptions options = WithChild();
  GrammarCompiler compiler(Bytes, options);
  std::string nested = "a";
  for (int i = 0; i < 12; ++i) nested = "(" + nested + "){1,50}";
  std::string deep(20'000, '(');
  deep += "a" + std::string(20'000, ')');
  std::string rules = "root ::= r0\n";
  for (int i = 0; i < 40; ++i) rules += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " r" + std::to_string(i + 1) + "\n";
  rules += "r40 ::= \"a\" | \"b\"\n";
  for (const GrammarSource& source : {Of(Kind::kRegex, nested), Of(Kind::kRegex, deep), Of(Kind::kEbnf, rules),
                                      Of(Kind::kEbnf, "root ::= root root | \"\""), Of(Kind::kRegex, "(a|aa|aaa)*b{1,100000}")}) {
    const auto grammar = compiler.Compile(source, 0, {});
    EXPECT_TRUE(grammar || !grammar.error().message.empty());
  }
}

TEST(CompileJobTest, IsReadAsItWasWritten) {
  const std::string bytes = WriteCompileJob(Of(Kind::kRegex, std::string("a\0b", 3)), Bytes());
  const auto job = ReadCompileJob(bytes);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->source, (Of(Kind::kRegex, std::string("a\0b", 3))));
  EXPECT_EQ(job->vocabulary.pieces, Bytes().pieces);
  EXPECT_EQ(job->vocabulary.ends, Bytes().ends);
  for (std::size_t length = 0; length < bytes.size(); length += 7) EXPECT_FALSE(ReadCompileJob(std::string_view(bytes).substr(0, length)));
}

}  // namespace
}  // namespace cllm
