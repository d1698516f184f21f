#include "model/answer_frame.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/testing_answers.h"

namespace cllm {
namespace {

std::shared_ptr<const AnswerFrame> FrameOf(const std::string& name, const ChatPrompt& chat) {
  const auto prepared = ChatTemplate::FromText(TemplateFile(name), "<s>", "</s>")->Prepare(chat);
  EXPECT_TRUE(prepared) << name << ": " << (prepared ? "" : prepared.error().message);
  return prepared ? prepared->frame : nullptr;
}

using Triggers = std::vector<TextTrigger>;

TEST(AnswerFrameTest, CallsThatMayComeBeginWithATrigger) {
  struct Case {
    const char* name;
    std::vector<std::string> triggers;
  };
  const Case cases[] = {
      {"Qwen-Qwen2.5-7B-Instruct", {"<tool_call>"}},
      {"Qwen-Qwen3-0.6B", {"<tool_call>"}},
      {"mistralai-Mistral-Nemo-Instruct-2407", {"[TOOL_CALLS]"}},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", {"<tool_call>"}},
  };
  for (const Case& c : cases) {
    const auto frame = FrameOf(c.name, TestChat());
    ASSERT_TRUE(frame) << c.name;
    EXPECT_EQ(frame->triggers, (Triggers{{.words = c.triggers}})) << c.name;
    EXPECT_EQ(frame->begun + frame->content_grammar, "") << c.name;
    for (std::size_t tool = 0; tool < 3; ++tool) EXPECT_TRUE(frame->grammar.contains(PlaceInFrame(tool))) << c.name << frame->grammar;
  }
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", TestChat(false)), nullptr) << "there are none";
  ChatPrompt none = TestChat();
  none.tool_choice.kind = ToolChoice::Kind::kNone;
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", none), nullptr);
}

TEST(AnswerFrameTest, WhereNoWordOpensCallsSomethingElseDoes) {
  ChatPrompt chat = TestChat();
  chat.tools.resize(1);
  const std::string header = "<|start|>assistant";
  EXPECT_EQ(FrameOf("openai-gpt-oss-120b", chat)->triggers, (Triggers{{.words = {" to=functions."}, .begins = true},
                                                                      {.words = {"<|channel|>commentary to=functions."}},
                                                                      {.words = {"<|channel|>analysis to=functions."}},
                                                                      {.words = {" to=functions."}, .behind = header}}));
  EXPECT_EQ(FrameOf("meetkai-functionary-medium-v3.2", chat)->triggers, (Triggers{{.words = {"get_weather\n"}, .begins = true}}));
  EXPECT_EQ(FrameOf("muse-glimmer", chat)->triggers,
            (Triggers{{.words = {" to=get_weather<|message|>"}, .behind = header, .begins = true}}));
  for (const char* name : {"meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.3-70B-Instruct"}) {
    const auto bare = FrameOf(name, chat);
    ASSERT_TRUE(bare) << name;
    EXPECT_EQ(bare->triggers, (Triggers{{.words = {"{", "\"name\"", ":", "\"get_weather\""}},
                                        {.words = {"{", "\"type\"", ":", "\"function\"", ",", "\"name\"", ":", "\"get_weather\""}}}));
    EXPECT_TRUE(bare->grammar.contains(PlaceInFrame(0)) && !bare->begun.empty()) << name;
  }
}

TEST(AnswerFrameTest, EveryCallThatMayComeOpensAFrame) {
  int framed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_LLAMA_CPP_SOURCE "/models/templates")) {
    if (entry.path().extension() != ".jinja") continue;
    const auto prepared = ChatTemplate::FromText(TemplateFile(entry.path().stem().string()), "<s>", "</s>")->Prepare(TestChat());
    // Of some llama.cpp finds no calls.
    if (!prepared || prepared->format->is_plain() || prepared->format->Description().starts_with("no calls")) continue;
    EXPECT_TRUE(prepared->frame && !prepared->frame->triggers.empty()) << entry.path();
    ++framed;
  }
  EXPECT_GT(framed, 60);
}

TEST(AnswerFrameTest, ArgumentsThatAreWrittenOneByOneHavePlaces) {
  ChatPrompt chat = TestChat();
  chat.tools.resize(1);
  chat.tools[0].enforced = chat.tools[0].parameters;
  using Form = FramedArgument::Form;
  const auto place = [](std::size_t argument) { return PlaceOfArgument(0, argument); };
  const auto frame = FrameOf("Qwen3-Coder", chat);
  const std::string mark = "\n</parameter>\n";
  EXPECT_EQ(frame->arguments,
            (std::vector<FramedArgument>{{0, "city", Form::kText, {mark}, place(0)}, {0, "days", Form::kJson, {}, place(1)}}));
  EXPECT_TRUE(frame->grammar.contains(R"("<parameter=" "city" ">\n" )" + place(0) + R"( "\n</parameter>\n" )")) << frame->grammar;
  EXPECT_FALSE(frame->grammar.contains("ac-")) << "what was there before";
  for (const char* name : {"GLM-4.6", "ByteDance-Seed-OSS", "MiniMax-M2", "Qwen3.5-4B", "openbmb-MiniCPM5-1B", "deepseek-ai-DeepSeek-V3.2",
                           "inclusionai-ling-3.0-flash", "Kimi-K3", "muse-glimmer", "LFM2-8B-A1B"}) {
    const auto other = FrameOf(name, chat);
    ASSERT_TRUE(other) << name;
    ASSERT_EQ(other->arguments.size(), 2U) << name << "\n" << other->grammar;
    EXPECT_TRUE(other->grammar.contains(place(0)) && other->grammar.contains(place(1))) << name;
  }
}

TEST(AnswerFrameTest, ConstrainedContentStandsBesideCallsThatMayCome) {
  ChatPrompt chat = TestChat();
  chat.is_constrained = true;
  const auto frame = FrameOf("Qwen-Qwen3-0.6B", chat);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->triggers.empty() && !frame->begun.empty());
  EXPECT_TRUE(frame->grammar.contains(PlaceInFrame(0)) && !frame->grammar.contains(PlaceInFrame(3)));
  EXPECT_TRUE(frame->content_grammar.contains(PlaceInFrame(3)) && !frame->content_grammar.contains(PlaceInFrame(0)));
  chat.tool_choice.kind = ToolChoice::Kind::kRequired;
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", chat)->content_grammar, "") << "a call is demanded";
  chat.tool_choice.kind = ToolChoice::Kind::kAuto;
  chat.messages.push_back({.role = "assistant", .content = "So"});
  chat.add_generation_prompt = false;
  chat.continue_final_message = true;
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", chat), nullptr) << "whose beginning is the message";
  chat.is_constrained = false;
  EXPECT_TRUE(FrameOf("Qwen-Qwen3-0.6B", chat)) << "a call may still come";
}

TEST(AnswerFrameTest, MarksOfThoughtsAreKnown) {
  const auto opened = FormatOf("Qwen-QwQ-32B", TestChat(false));
  EXPECT_EQ(opened->thinking_start(), "<think>");
  EXPECT_EQ(opened->thinking_ends(), std::vector<std::string>{"</think>"});
  EXPECT_TRUE(opened->opens_thoughts());
  const auto free = FormatOf("Qwen-Qwen3-0.6B", TestChat(false));
  EXPECT_EQ(free->thinking_ends(), std::vector<std::string>{"</think>"});
  EXPECT_FALSE(free->opens_thoughts());
  ChatPrompt without = TestChat(false);
  without.template_arguments["enable_thinking"] = "false";
  EXPECT_FALSE(FormatOf("Qwen-Qwen3-0.6B", without)->opens_thoughts()) << "opened and closed";
  EXPECT_TRUE(FormatOf("Qwen-Qwen2.5-7B-Instruct", TestChat(false))->thinking_ends().empty());
  ChatPrompt in_content = TestChat(false);
  in_content.reasoning_format = ReasoningFormat::kInContent;
  EXPECT_TRUE(FormatOf("Qwen-QwQ-32B", in_content)->opens_thoughts()) << "however they are shown";
}

}  // namespace
}  // namespace cllm
