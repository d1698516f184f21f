#include "grammar/pending_grammar.h"

#include <gtest/gtest.h>

#include <thread>

#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

TEST(PendingConstraintTest, IsWaitedForAndThenTheGrammars) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  const auto pending = std::make_shared<PendingGrammar>();
  PendingConstraint constraint(pending, [&](auto grammar) { return compiler.Constrain(std::move(grammar)); });
  const auto early = constraint.Next(std::chrono::microseconds(1));
  EXPECT_TRUE(early && !*early) << "it isn't there yet";
  std::jthread compiling([&] { pending->Set(compiler.Compile(GrammarSource::Of(GrammarPart::Kind::kRegex, "[ab]c"), 0, {})); });
  auto next = constraint.Next(std::chrono::seconds(60));
  while (next && !*next) next = constraint.Next(std::chrono::seconds(60));
  ASSERT_TRUE(next);
  EXPECT_TRUE((**next).Allows('a') && !(**next).Allows('c'));
  constraint.Accept('a');
  const auto then = constraint.Next(std::chrono::seconds(60));
  ASSERT_TRUE(then && *then);
  ASSERT_FALSE((**then).forced.empty());
  EXPECT_EQ((**then).forced.front(), 'c');
}

TEST(PendingConstraintTest, WhatCannotBeCompiledIsAnError) {
  const auto pending = std::make_shared<PendingGrammar>();
  pending->Set(InvalidArgument("no"));
  PendingConstraint constraint(pending, [](auto) { return nullptr; });
  const auto next = constraint.Next(std::chrono::seconds(60));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().message, "no");
}

}  // namespace
}  // namespace cllm
