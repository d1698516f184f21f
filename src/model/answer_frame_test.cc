#include "model/answer_frame.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(frame->triggers, c.triggers) << c.name;
    EXPECT_EQ(frame->begun + frame->content_grammar, "") << c.name;
    for (std::size_t tool = 0; tool < 3; ++tool) EXPECT_TRUE(frame->grammar.contains(PlaceInFrame(tool))) << c.name << frame->grammar;
  }
  EXPECT_EQ(FrameOf("openai-gpt-oss-120b", TestChat()), nullptr) << "no word begins them";
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", TestChat(false)), nullptr) << "there are none";
  ChatPrompt none = TestChat();
  none.tool_choice.kind = ToolChoice::Kind::kNone;
  EXPECT_EQ(FrameOf("Qwen-Qwen3-0.6B", none), nullptr);
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
