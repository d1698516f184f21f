#include "model/answer_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json_text.h"
#include "base/testing_build.h"
#include "model/answer_formats.h"
#include "model/testing_answer_transcripts.h"

namespace cllm {
namespace {

using Kind = AnswerPart::Kind;
constexpr char kRome[] = R"({"name": "get_weather", "arguments": {"city": "Rome"}})";

std::string Tagged(const std::string& call) { return "<tool_call>\n" + call + "\n</tool_call>"; }

TEST(AnswerFormat, EachFamilyIsRead) {
  std::size_t cases = 0;
  for (const AnswerFamily& family : AllAnswerFamilies()) {
    for (const std::string& name : family.templates) {
      const auto format = FormatOf(name, family.chat);
      ASSERT_EQ(format->problem(), "") << name;
      for (const AnswerCase& test : family.cases) {
        EXPECT_EQ(ReadWhole(format, test.text).Shown(), test.expected) << family.name << ", " << name << "\n" << test.text;
        ++cases;
      }
    }
  }
  EXPECT_GT(cases, 150u);
}

TEST(AnswerFormat, PiecesMeanWhatTheWholeMeans) {
  for (const AnswerFamily& family : AllAnswerFamilies()) {
    const auto format = FormatOf(family.templates.front(), family.chat);
    for (const AnswerCase& test : family.cases) {
      const std::string whole = ReadWhole(format, test.text).Shown();
      for (const std::size_t most : {1, 2, 3, 7})
        EXPECT_EQ(ReadInPieces(format, test.text, most).Shown(), whole) << family.name << test.text;
    }
  }
}

// An answer that ends anywhere is an answer: what it has of content, reasoning and calls begins like those of the whole one, or is text
// that would have become something else. Nothing of it is lost.
TEST(AnswerFormat, AnAnswerMayEndAnywhere) {
  for (const AnswerFamily& family : AllAnswerFamilies()) {
    const auto format = FormatOf(family.templates.front(), family.chat);
    for (const AnswerCase& test : family.cases) {
      const ReadAnswer whole = ReadWhole(format, test.text);
      for (std::size_t size = 0; size < test.text.size(); size += kIsSanitized ? 5 : 1) {
        if ((test.text[size] & 0xC0) == 0x80) continue;
        const std::string text = test.text.substr(0, size);
        const ReadAnswer cut = ReadInPieces(format, text, 1, size % 2 == 0);
        EXPECT_EQ(cut.error.message, "") << text;
        EXPECT_TRUE(whole.Text(Kind::kReasoning).starts_with(cut.Text(Kind::kReasoning)) || text.ends_with(cut.Text(Kind::kReasoning)))
            << family.name << "\n"
            << text << "\n"
            << cut.Shown();
        // The bytes that somebody sees come in the order of the text.
        std::size_t at = 0;
        for (const AnswerPart& part : cut.parts) {
          if (part.kind == Kind::kToolCall) continue;
          for (const char c : part.text) {
            at = text.find(c, at);
            ASSERT_NE(at, std::string::npos) << family.name << "\n" << text << "\n" << cut.Shown();
            ++at;
          }
        }
      }
    }
  }
}

TEST(AnswerFormat, ArgumentsComeAsTheyAreWritten) {
  const auto format = FormatOf("Qwen-Qwen3-0.6B", TestChat());
  const std::string city(1000, 'x');
  const std::string text = Tagged(R"({"name": "get_weather", "arguments": {"city": ")" + city + R"("}})");
  AnswerParser parser(format);
  std::size_t pieces = 0;
  std::string arguments;
  std::string id;
  for (const char c : text) {
    for (const AnswerPart& part : parser.Add(std::string(1, c))) {
      ASSERT_EQ(part.kind, Kind::kToolCall);
      EXPECT_EQ(part.call_name, pieces == 0 ? "get_weather" : "");
      EXPECT_EQ(part.call_id.empty(), pieces > 0);
      if (pieces++ == 0) id = part.call_id;
      arguments += part.text;
    }
  }
  EXPECT_GT(arguments.size(), 850u);
  const auto last = parser.End(true);
  ASSERT_TRUE(last);
  for (const AnswerPart& part : *last) arguments += part.text;
  EXPECT_GT(pieces, 20u);
  EXPECT_EQ(arguments, R"({"city": ")" + city + R"("})");
  EXPECT_EQ(id.size(), 37u);
  EXPECT_TRUE(id.starts_with("call_"));
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(RandomCallId());
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(AnswerFormat, ThePromptMayOpenOrCloseReasoning) {
  const auto thinking = FormatOf("Qwen-QwQ-32B", TestChat(false));
  AnswerParser parser(thinking);
  EXPECT_TRUE(parser.in_reasoning());
  EXPECT_EQ(parser.Add("Hm").size(), 1u);
  EXPECT_TRUE(parser.in_reasoning());
  parser.Add("</thi");
  EXPECT_TRUE(parser.in_reasoning());
  parser.Add("nk>So");
  EXPECT_FALSE(parser.in_reasoning());

  ChatPrompt chat = WithoutThinking(TestChat(false));
  EXPECT_EQ(ReadWhole(FormatOf("Qwen-Qwen3-0.6B", chat), "It rains.").Shown(), "C[It rains.]");
  // It was not asked to think, but does.
  EXPECT_EQ(ReadWhole(FormatOf("Qwen-Qwen3-0.6B", chat), "<think>a</think>b").Shown(), "C[<think>a</think>b]");
}

TEST(AnswerFormat, ReasoningMayStayInTheContent) {
  ChatPrompt chat = TestChat();
  chat.reasoning_format = ReasoningFormat::kInContent;
  EXPECT_EQ(ReadWhole(FormatOf("Qwen-Qwen3-0.6B", chat), "<think>Hm</think>\n\nSo " + Tagged(kRome)).Shown(),
            R"(C[<think>Hm</think>

So]T[get_weather {"city": "Rome"}])");
  EXPECT_EQ(ReadWhole(FormatOf("openai-gpt-oss-120b", chat),
                      "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>So")
                .Shown(),
            "C[<|channel|>analysis<|message|>Hm<|end|>So]");
}

TEST(AnswerFormat, WhatTheAnswerBeginsWithIsNotSentAgain) {
  ChatPrompt chat = TestChat();
  chat.continue_final_message = true;
  chat.messages.push_back({.role = "assistant", .content = "It "});
  for (const char* name : {"Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct", "mistralai-Mistral-Nemo-Instruct-2407",
                           "ibm-granite-granite-4.0", "openai-gpt-oss-120b", "meetkai-functionary-medium-v3.2"}) {
    EXPECT_EQ(ReadInPieces(FormatOf(name, chat), "rains.", 1).Shown(), "C[rains.]") << name;
  }
  chat.messages.back() = {.role = "assistant", .content = "", .reasoning_content = "I should"};
  for (const char* name : {"Qwen-QwQ-32B", "Qwen-Qwen3-0.6B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"}) {
    EXPECT_EQ(ReadInPieces(FormatOf(name, chat), " look.</think>So", 1).Shown(), "R[ look.]C[So]") << name;
  }
  chat.messages.back() = {.role = "assistant", .content = std::string(50'000, 'x')};
  const auto format = FormatOf("Qwen-Qwen2.5-7B-Instruct", chat);
  const ReadAnswer answer = ReadInPieces(format, " " + Tagged(kRome), 1);
  EXPECT_EQ(answer.Shown(), R"(T[get_weather {"city": "Rome"}])");
  EXPECT_LT(answer.parsed_bytes, 50'000u);
}

TEST(AnswerFormat, ARequiredCallIsMissed) {
  ChatPrompt chat = TestChat();
  chat.tool_choice.kind = ToolChoice::Kind::kRequired;
  for (const char* name : {"Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "ibm-granite-granite-4.0"}) {
    const auto format = FormatOf(name, chat);
    EXPECT_EQ(ReadWhole(format, Tagged(kRome)).Shown(), R"(T[get_weather {"city": "Rome"}])") << name;
    EXPECT_EQ(ReadWhole(format, "So " + Tagged(kRome)).Shown(), R"(C[So]T[get_weather {"city": "Rome"}])") << name;
    EXPECT_EQ(ReadWhole(format, "It rains.").error.code, ErrorCode::kInternal) << name;
    EXPECT_EQ(ReadWhole(format, "It rains.", false).Shown(), "C[It rains.]") << name;
    const std::string begun = Tagged(kRome).substr(0, Tagged(kRome).rfind("me"));
    EXPECT_FALSE(ReadWhole(format, begun).error.message.empty()) << name;
    EXPECT_EQ(ReadWhole(format, begun, false).Shown(), R"(T[get_weather {"city": "Ro])") << name;
  }
}

TEST(AnswerFormat, OnlyTheNamedFunctionIsCalled) {
  ChatPrompt chat = TestChat();
  chat.tool_choice = {.kind = ToolChoice::Kind::kFunction, .function = "now"};
  const auto format = FormatOf("Qwen-Qwen3-0.6B", chat);
  EXPECT_EQ(ReadWhole(format, Tagged(R"({"name": "now", "arguments": {}})")).Shown(), "T[now {}]");
  EXPECT_FALSE(ReadWhole(format, Tagged(kRome)).error.message.empty());
  // All of them are in the prompt.
  const auto chat_template = ChatTemplate::FromText(TemplateFile("Qwen-Qwen3-0.6B"));
  EXPECT_EQ(chat_template->Prepare(chat)->prompt.text, chat_template->Render(TestChat())->text);
}

TEST(AnswerFormat, WithoutToolsOrChoiceCallsAreContent) {
  ChatPrompt chat = TestChat();
  chat.tool_choice.kind = ToolChoice::Kind::kNone;
  EXPECT_EQ(ReadWhole(FormatOf("Qwen-Qwen3-0.6B", chat), Tagged(kRome)).Shown(), "C[" + Tagged(kRome) + "]");
  EXPECT_EQ(ReadWhole(FormatOf("Qwen-Qwen3-0.6B", TestChat(false)), Tagged(kRome)).Shown(), "C[" + Tagged(kRome) + "]");
}

TEST(AnswerFormat, OneCallMayBeAllThatIsWanted) {
  ChatPrompt chat = TestChat();
  chat.parallel_tool_calls = false;
  const auto format = FormatOf("Qwen-Qwen3-0.6B", chat);
  EXPECT_EQ(ReadInPieces(format, Tagged(kRome) + "\n" + Tagged(kRome), 1).Shown(), R"(T[get_weather {"city": "Rome"}]C[)"
                                                                                   "\n" +
                                                                                       Tagged(kRome) + "]");
}

TEST(AnswerFormat, WhatBreaksBehindWhatWasSentIsContent) {
  const auto format = FormatOf("Qwen-Qwen3-0.6B", TestChat());
  const std::string broken = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\", oops}}\n</tool_call> Sorry.";
  const ReadAnswer answer = ReadInPieces(format, broken, 1);
  EXPECT_TRUE(answer.fell_back);
  EXPECT_EQ(answer.parts.front().call_name, "get_weather");
  EXPECT_TRUE(answer.Text(Kind::kContent).ends_with("oops}}\n</tool_call> Sorry.")) << answer.Shown();
  EXPECT_TRUE(std::string(R"({"city": "Rome", )").starts_with(answer.Text(Kind::kToolCall))) << answer.Shown();
}

// What a template writes of an answer, an answer says.
TEST(AnswerFormat, CallsOfAllTemplatesAreReadAsTheyAreWritten) {
  std::size_t read = 0;
  std::string others;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(CLLM_LLAMA_CPP_SOURCE) / "models" / "templates")) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().stem();
    const auto chat_template = ChatTemplate::FromText(TemplateFile(name), "<s>", "</s>");
    const auto prepared = chat_template->Prepare(WithoutThinking(TestChat()));
    if (!prepared) continue;
    ChatPrompt answered = WithoutThinking(TestChat());
    answered.add_generation_prompt = false;
    answered.messages.push_back(
        {.role = "assistant",
         .content = "",
         .tool_calls = {{.id = "abc123def", .name = "get_weather", .arguments = R"({"city": "Rome", "days": 3})"}}});
    const auto whole = chat_template->Render(answered);
    if (!whole || !whole->text.starts_with(prepared->prompt.text)) continue;
    const std::string text = whole->text.substr(prepared->prompt.text.size());
    const ReadAnswer answer = ReadInPieces(prepared->format, text, 1);
    EXPECT_EQ(answer.Shown(), ReadWhole(prepared->format, text).Shown()) << name;
    const bool is_read = std::ranges::any_of(answer.parts, [](const AnswerPart& part) {
      std::string arguments = part.text;
      std::erase(arguments, ' ');
      return part.call_name == "get_weather" && arguments == R"({"city":"Rome","days":3})";
    });
    if (is_read) {
      ++read;
    } else {
      others += name + " (" + prepared->format->Description() + ", " + prepared->format->problem() + "): " + text + "\n→ " +
                answer.Shown() + "\n";
    }
  }
  // Those that are not are templates that write no calls, and two whose calls llama.cpp does not find out how to read.
  EXPECT_GE(read, 48u) << others;
}

TEST(AnswerFormat, APreparedPromptIsTheRenderedOne) {
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(CLLM_LLAMA_CPP_SOURCE) / "models" / "templates")) {
    if (entry.path().extension() != ".jinja") continue;
    const auto chat_template = ChatTemplate::FromText(TemplateFile(entry.path().stem()), "<s>", "</s>");
    for (const bool with_tools : {false, true}) {
      const auto rendered = chat_template->Render(TestChat(with_tools));
      const auto prepared = chat_template->Prepare(TestChat(with_tools));
      ASSERT_EQ(rendered.has_value(), prepared.has_value()) << entry.path();
      if (!rendered) continue;
      EXPECT_EQ(prepared->prompt.text, rendered->text) << entry.path();
      EXPECT_EQ(prepared->prompt.trusted, rendered->trusted) << entry.path();
      // Whatever it is, nothing of it is lost.
      EXPECT_EQ(ReadInPieces(prepared->format, "It rains.", 1).parts.size(), 1u) << entry.path();
    }
  }
}

TEST(AnswerFormat, WithoutAParserAllIsContent) {
  const auto chat_template = ChatTemplate::FromText("{{ messages | tojson }}");
  const auto prepared = chat_template->Prepare(TestChat(false));
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(ReadInPieces(prepared->format, "<think>a</think> {} ", 1).Shown(), "C[<think>a</think> {} ]");
  EXPECT_EQ(ReadWhole(AnswerFormat::Plain(), " <think>").Shown(), "C[ <think>]");
  ChatPrompt open = TestChat();
  open.add_generation_prompt = false;
  const auto qwen = ChatTemplate::FromText(TemplateFile("Qwen-Qwen3-0.6B"));
  EXPECT_TRUE(qwen->Prepare(open)->format->is_plain());
}

TEST(AnswerFormat, PeopleAreToldWhatItIs) {
  const auto described = [](const char* name) { return ChatTemplate::FromText(TemplateFile(name))->FormatName(); };
  EXPECT_EQ(described("Qwen-Qwen3-0.6B"), "calls after <tool_call>, reasoning from <think> to </think>");
  EXPECT_EQ(described("mistralai-Mistral-Nemo-Instruct-2407"), "calls after [TOOL_CALLS]");
  EXPECT_EQ(ChatTemplate::FromText("")->FormatName(), "calls after <tool_call>");
}

TEST(AnswerFormat, ToolsMayHaveAnySchema) {
  const std::string schema_with_reference = R"x({"type":"object","properties":{"a":{"$ref":"#/$defs/b","description":"x"}},)x"
                                            R"x("$defs":{"b":{"type":"string","pattern":"(?=x)"}}})x";
  EXPECT_EQ(ShapeOfSchema(schema_with_reference), R"({"type":"object","properties":{"a":{"type":"string"}}})");
  EXPECT_EQ(ShapeOfSchema("[]"), "{}");
  const std::string loop =
      ShapeOfSchema(R"({"properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"},"d":{"$ref":"#"},"e":{"$ref":"#"}}})");
  EXPECT_LT(loop.size(), 100'000u);
  EXPECT_TRUE(IsJson(loop));
  for (const char* schema : {R"({"type":"object","properties":{"city":{"type":"string","pattern":"^(?=.*[a-z])(a|b)\\1$"}}})",
                             R"({"$ref":"#"})", R"({"type":"object","properties":{"city":{"$ref":"https://example.com/x"}}})",
                             R"({"type":"nothing"})", "{}", "[]", "nonsense", ""}) {
    ChatPrompt chat = TestChat(false);
    chat.tools = {{.name = "get_weather", .description = "", .parameters = schema}};
    const auto chat_template = ChatTemplate::FromText(TemplateFile("Qwen-Qwen3-0.6B"));
    const auto prepared = chat_template->Prepare(chat);
    if (!prepared) continue;  // the template itself wants JSON
    EXPECT_EQ(ReadInPieces(prepared->format, Tagged(kRome), 1).Shown(), R"(T[get_weather {"city": "Rome"}])") << schema;
  }
}

}  // namespace
}  // namespace cllm
