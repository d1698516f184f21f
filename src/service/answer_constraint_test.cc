#include "service/answer_constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "base/testing_build.h"
#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"
#include "model/chat_template.h"

namespace cllm {
namespace {

std::vector<std::filesystem::path> ModelTemplates() {
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_LLAMA_CPP_SOURCE "/models/templates")) {
    if (entry.path().extension() == ".jinja") all.push_back(entry.path());
  }
  std::ranges::sort(all);
  return all;
}

std::string TextOfTemplate(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

GenerateRequest Asking(const ToolChoice& choice, bool with_tools, bool constrained) {
  ChatPrompt chat{.messages = {{.role = "user", .content = "Hi"}}, .tool_choice = choice, .parallel_tool_calls = false};
  if (with_tools) {
    chat.tools = {{.name = "look",
                   .parameters = R"({"type":"object"})",
                   .enforced = R"({"type":"object","properties":{"at":{"const":"here"}},"required":["at"],"additionalProperties":false})"},
                  {.name = "wait",
                   .parameters = R"({"type":"object"})",
                   .enforced = R"({"type":"object","properties":{},"additionalProperties":false})"}};
  }
  GenerateRequest request;
  if (constrained)
    request.constraint = AnswerConstraint{.grammar = {.kind = GrammarPart::Kind::kRegex, .text = "yes|no"}, .field = "regex"};
  chat.is_constrained = constrained;
  request.prompt = chat;
  return request;
}

std::vector<std::string> TextsOf(const std::vector<TextTrigger>& triggers) {
  std::vector<std::string> texts;
  for (const TextTrigger& trigger : triggers) texts.push_back(fmt::format("{}", fmt::join(trigger.words, "")));
  return texts;
}

// What the grammar makes of every template of llama.cpp's collection can be compiled, and something may come. `triggered`: grammars that
// hold from a trigger on, which they begin with.
int CompiledFor(const GenerateRequest& request, bool triggered = false) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  int compiled_frames = 0;
  // Under a sanitizer llama.cpp's look at a template takes a second.
  constexpr std::size_t kEach = kIsSanitized ? 6 : 1;
  const auto paths = ModelTemplates();
  for (std::size_t i = 0; i < paths.size(); i += kEach) {
    const auto& path = paths[i];
    const auto made = ChatTemplate::FromText(TextOfTemplate(path));
    const auto prepared = made->Prepare(std::get<ChatPrompt>(request.prompt));
    if (!prepared) continue;  // it refuses the messages
    EncodedPrompt encoded;
    encoded.frame = prepared->frame;
    const auto asked = GrammarOf(request, encoded);
    EXPECT_TRUE(asked) << path;
    if (!asked || !*asked || (*asked)->source.frame.empty()) continue;
    const auto& grammar = *asked;
    const auto compiled = compiler.Compile(grammar->source, 0, {});
    EXPECT_TRUE(compiled) << path << ": " << (compiled ? "" : compiled.error().message) << "\n" << grammar->source.frame;
    if (!compiled) continue;
    EXPECT_EQ(!grammar->triggers.empty(), triggered) << path;
    bool may_begin = false;
    for (const std::string& begun : triggered ? TextsOf(grammar->triggers) : std::vector<std::string>{""}) {
      const auto next = compiler.Constrain(*compiled, begun)->Next(std::chrono::seconds(60));
      may_begin = may_begin || (next && *next);
    }
    EXPECT_TRUE(may_begin) << path << "\n" << grammar->source.frame;
    compiled_frames += static_cast<int>(kEach);
  }
  return compiled_frames;
}

TEST(AnswerConstraintTest, DemandedCallsCompileForEveryTemplate) {
  EXPECT_GT(CompiledFor(Asking({.kind = ToolChoice::Kind::kRequired}, true, false)), 55);
  EXPECT_GT(CompiledFor(Asking({.kind = ToolChoice::Kind::kFunction, .function = "wait"}, true, false)), 40);
}

TEST(AnswerConstraintTest, ContentBehindThoughtsCompilesForEveryTemplate) { EXPECT_GT(CompiledFor(Asking({}, false, true)), 20); }

TEST(AnswerConstraintTest, CallsThatMayComeCompileFromTheirTriggerOn) { EXPECT_GT(CompiledFor(Asking({}, true, false), true), 45); }

TEST(AnswerConstraintTest, ContentOrCallsCompileForEveryTemplate) { EXPECT_GT(CompiledFor(Asking({}, true, true)), 40); }

TEST(AnswerConstraintTest, WhatNobodyInsistsOnMayBeDoneWithout) {
  EncodedPrompt encoded;
  encoded.frame = std::make_shared<const AnswerFrame>(AnswerFrame{.grammar = "root ::= \"<call>\"", .triggers = {{.words = {"<call>"}}}});
  GenerateRequest request = Asking({}, true, false);
  const auto relaxed = GrammarOf(request, encoded).value();
  ASSERT_TRUE(relaxed);
  EXPECT_FALSE(relaxed->is_needed);
  EXPECT_TRUE(relaxed->once) << "no calls beside each other";
  std::get<ChatPrompt>(request.prompt).tools[1].is_strict = true;
  EXPECT_TRUE(GrammarOf(request, encoded).value()->is_needed);
  std::get<ChatPrompt>(request.prompt).parallel_tool_calls = true;
  EXPECT_FALSE(GrammarOf(request, encoded).value()->once);
  EXPECT_NE(GrammarOf(request, encoded).value()->Key(), relaxed->Key());
}

TEST(AnswerConstraintTest, WithoutAFrameTheConstraintIsTheWholeAnswer) {
  const auto grammar = GrammarOf(Asking({}, false, true), {}).value();
  ASSERT_TRUE(grammar);
  EXPECT_TRUE(grammar->source.frame.empty());
  EXPECT_EQ(grammar->source.parts, (std::vector<GrammarPart>{{.kind = GrammarPart::Kind::kRegex, .text = "yes|no"}}));
  EXPECT_EQ(grammar->field, "regex");
  EXPECT_FALSE(GrammarOf(Asking({}, true, true), {}).value()) << "it may call a tool instead";
  EXPECT_FALSE(GrammarOf(Asking({}, true, false), {}).value());
}

}  // namespace
}  // namespace cllm
