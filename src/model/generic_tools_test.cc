#include "model/generic_tools.h"

#include <gtest/gtest.h>

#include <string>

#include "model/chat_template.h"

namespace cllm {
namespace {

// As SmolLM2's, which knows a system message and no tools; and one that wants user and assistant in turn, as Gemma's.
constexpr char kChatMl[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
constexpr char kInTurn[] =
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('not in turn') }}{% endif %}"
    "{{ '<' + message['role'] + '>' + message['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

ChatPrompt Chat() {
  return {.messages = {{.role = "user", .content = "Weather?"},
                       {.role = "assistant", .tool_calls = {{"c1", "look", R"({"at":"Rome"})"}, {"c2", "look", R"({"at":"Oslo"})"}}},
                       {.role = "tool", .content = "sunny", .tool_call_id = "c1"},
                       {.role = "tool", .content = "snow", .tool_call_id = "c2"},
                       {.role = "user", .content = "Thanks."}},
          .tools = {{.name = "look", .description = "Looks \"out\".", .parameters = R"({"type":"object"})"}}};
}

std::string Rendered(const char* text, const ChatPrompt& chat) {
  const auto made = ChatTemplate::FromText(text);
  const auto rendered = made->Render(chat);
  return rendered ? rendered->text : "refused: " + rendered.error().message;
}

TEST(GenericTools, AreTextOfMessages) {
  EXPECT_EQ(Rendered(kChatMl, Chat()), R"(<|im_start|>system
You can call functions. Their signatures are within <tools></tools>, a line of JSON each:
<tools>
{"type": "function", "function": {"name": "look", "description": "Looks \"out\".", "parameters": {"type":"object"}}}
</tools>
To call a function, answer with a JSON object of its name and arguments within <tool_call></tool_call>:
<tool_call>
{"name": <its name>, "arguments": <its arguments, as a JSON object>}
</tool_call><|im_end|>
<|im_start|>user
Weather?<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "look", "arguments": {"at":"Rome"}}
</tool_call>
<tool_call>
{"name": "look", "arguments": {"at":"Oslo"}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
sunny
</tool_response>
<tool_response>
snow
</tool_response>
Thanks.<|im_end|>
<|im_start|>assistant
)");
}

TEST(GenericTools, StandInTheFirstMessageWhereThereIsNoSystem) {
  const std::string text = Rendered(kInTurn, Chat());
  EXPECT_TRUE(text.starts_with("<user>You can call functions.")) << text;
  EXPECT_NE(text.find("</tool_call>\n\nWeather?"), std::string::npos) << text;
}

TEST(GenericTools, JoinASystemMessage) {
  ChatPrompt chat = Chat();
  chat.messages.insert(chat.messages.begin(), {.role = "system", .content = "Be kind."});
  EXPECT_TRUE(Rendered(kChatMl, chat).starts_with("<|im_start|>system\nBe kind.\n\nYou can call functions."));
  chat.tool_choice.kind = ToolChoice::Kind::kNone;
  EXPECT_TRUE(Rendered(kChatMl, chat).starts_with("<|im_start|>system\nBe kind.<|im_end|>")) << "what may not be called isn't told";
}

TEST(GenericTools, AreNotTrusted) {
  const auto made = ChatTemplate::FromText(kChatMl);
  const auto rendered = made->Render(Chat());
  ASSERT_TRUE(rendered);
  for (const auto& [begin, end] : rendered->trusted) {
    const std::string trusted = rendered->text.substr(begin, end - begin);
    EXPECT_EQ(trusted.find("tool"), std::string::npos) << trusted;
  }
}

TEST(GenericTools, TheirCallsAreRead) {
  const auto made = ChatTemplate::FromText(kChatMl);
  const auto prepared = made->Prepare(Chat());
  ASSERT_TRUE(prepared);
  AnswerParser parser(prepared->format, [] { return "id"; });
  std::vector<AnswerPart> parts =
      parser.Add("Let me see.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"Bonn\"}}\n</tool_call>");
  const auto last = parser.End(true);
  ASSERT_TRUE(last);
  parts.insert(parts.end(), last->begin(), last->end());
  std::string content;
  std::string arguments;
  for (const AnswerPart& part : parts) (part.kind == AnswerPart::Kind::kToolCall ? arguments : content) += part.text;
  EXPECT_TRUE(content.starts_with("Let me see.")) << content;
  EXPECT_EQ(arguments, R"({"at": "Bonn"})");
  ASSERT_TRUE(prepared->frame);
  EXPECT_EQ(prepared->frame->triggers, (std::vector<TextTrigger>{{.words = {"<tool_call>"}}})) << "what a call is decides when one begins";
}

TEST(GenericTools, ADemandedCallHasAFrame) {
  const auto made = ChatTemplate::FromText(kChatMl);
  ChatPrompt chat = Chat();
  chat.tool_choice.kind = ToolChoice::Kind::kRequired;
  chat.parallel_tool_calls = false;
  const auto prepared = made->Prepare(chat);
  ASSERT_TRUE(prepared && prepared->frame);
  EXPECT_EQ(made->Prepare(chat)->frame, prepared->frame) << "llama.cpp is asked once";
  const std::string& grammar = prepared->frame->grammar;
  EXPECT_NE(grammar.find(PlaceInFrame(0)), std::string::npos) << grammar;
  EXPECT_NE(grammar.find("(tool-call space){1,1}"), std::string::npos) << grammar;
  const auto root = grammar.find("root ::= ");
  EXPECT_EQ(grammar.substr(root, grammar.find('\n', root) - root).find("until"), std::string::npos)
      << "no text before the call: " << grammar;
}

}  // namespace
}  // namespace cllm
