#include "service/answer_constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

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

// What the grammar makes of every template of llama.cpp's collection can be compiled, and something may come.
int CompiledFor(const GenerateRequest& request) {
  GrammarCompiler compiler(ByteVocabulary(), {.compile_command = {CLLM_GRAMMAR_CHILD}});
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
    const auto grammar = GrammarOf(request, encoded);
    if (!grammar || grammar->source.frame.empty()) continue;
    const auto compiled = compiler.Compile(grammar->source, {});
    EXPECT_TRUE(compiled) << path << ": " << (compiled ? "" : compiled.error().message) << "\n" << grammar->source.frame;
    if (!compiled) continue;
    const auto next = compiler.Constrain(*compiled)->Next(std::chrono::seconds(60));
    EXPECT_TRUE(next && *next) << path << ": " << (next ? "" : next.error().message);
    compiled_frames += static_cast<int>(kEach);
  }
  return compiled_frames;
}

TEST(AnswerConstraintTest, DemandedCallsCompileForEveryTemplate) {
  EXPECT_GT(CompiledFor(Asking({.kind = ToolChoice::Kind::kRequired}, true, false)), 55);
  EXPECT_GT(CompiledFor(Asking({.kind = ToolChoice::Kind::kFunction, .function = "wait"}, true, false)), 40);
}

TEST(AnswerConstraintTest, ContentBehindThoughtsCompilesForEveryTemplate) { EXPECT_GT(CompiledFor(Asking({}, false, true)), 20); }

TEST(AnswerConstraintTest, WithoutAFrameTheConstraintIsTheWholeAnswer) {
  const auto grammar = GrammarOf(Asking({}, false, true), {});
  ASSERT_TRUE(grammar);
  EXPECT_TRUE(grammar->source.frame.empty());
  EXPECT_EQ(grammar->source.parts, (std::vector<GrammarPart>{{.kind = GrammarPart::Kind::kRegex, .text = "yes|no"}}));
  EXPECT_EQ(grammar->field, "regex");
  EXPECT_FALSE(GrammarOf(Asking({}, true, true), {})) << "it may call a tool instead";
  EXPECT_FALSE(GrammarOf(Asking({}, true, false), {}));
}

}  // namespace
}  // namespace cllm
