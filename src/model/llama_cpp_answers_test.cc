// What llama.cpp's own tests expect of its parsers, asked of ours: testdata/llama_cpp_answers.json holds those tests as data.
#include <gtest/gtest.h>
#include <json.h>

#include <algorithm>
#include <filesystem>

#include "model/testing_answer_checks.h"

namespace cllm {
namespace {

using PartKind = AnswerPart::Kind;

common_json LlamaCppAnswers() {
  return common_json::parse(WholeFile(std::filesystem::path(CLLM_MODEL_TESTDATA) / "llama_cpp_answers.json"));
}

std::string TextOf(const common_json& object, const char* key) { return object.value(key, std::string()); }

struct ExpectedCall {
  std::string name;
  std::string arguments;
  std::string id;  // empty: the model gives none
};

std::vector<ExpectedCall> CallsOf(const common_json& message) {
  std::vector<ExpectedCall> calls;
  if (!message.contains("calls")) return calls;
  for (const common_json& call : message.at("calls"))
    calls.push_back({call.at(0).get<std::string>(), call.at(1).get<std::string>(), call.at(2).get<std::string>()});
  return calls;
}

ChatMessage MessageOf(const common_json& message) {
  ChatMessage read{.role = TextOf(message, "role"),
                   .content = TextOf(message, "content"),
                   .reasoning_content = TextOf(message, "reasoning"),
                   .tool_call_id = TextOf(message, "tool_call_id")};
  for (const ExpectedCall& call : CallsOf(message))
    read.tool_calls.push_back({.id = call.id, .name = call.name, .arguments = call.arguments});
  return read;
}

ChatPrompt PromptOf(const common_json& test, const common_json& tools) {
  ChatPrompt prompt;
  if (test.contains("messages")) {
    for (const common_json& message : test.at("messages")) prompt.messages.push_back(MessageOf(message));
  } else {
    prompt.messages = {{.role = "user", .content = "Hey there!"}};
  }
  if (test.contains("tools")) {
    for (const common_json& number : test.at("tools")) {
      const common_json& tool = tools.at(number.get<std::size_t>());
      prompt.tools.push_back({.name = tool.at(0).get<std::string>(), .description = "A tool", .parameters = tool.at(1).dump()});
    }
  }
  if (!test.value("thinking", true)) prompt.template_arguments["enable_thinking"] = "false";
  if (!test.value("apart", true)) prompt.reasoning_format = ReasoningFormat::kInContent;
  prompt.parallel_tool_calls = test.value("parallel", false);
  prompt.continue_final_message = test.contains("continues");
  prompt.add_generation_prompt = !prompt.continue_final_message;
  if (test.contains("choice")) {
    constexpr int kRequired = 1;
    prompt.tool_choice.kind = test.at("choice").get<int>() == kRequired ? ToolChoice::Kind::kRequired : ToolChoice::Kind::kNone;
  }
  return prompt;
}

std::string Stripped(std::string text) {
  constexpr char kSpaces[] = " \t\r\n";
  text.erase(0, text.find_first_not_of(kSpaces));
  text.erase(text.find_last_not_of(kSpaces) + 1);
  return text;
}

// One way of writing it; empty where it isn't whole.
std::string SameJson(const std::string& text) {
  const common_json json = common_json::parse_no_throw(text);
  return json.is_discarded() ? "" : json.dump();
}

// Ours as in Shown, but for spaces at the ends and ways of writing JSON, which their tests don't compare either.
std::string Read(const ReadAnswer& answer) {
  std::string shown = "R[" + Stripped(answer.Text(PartKind::kReasoning)) + "]C[" + Stripped(answer.Text(PartKind::kContent)) + "]";
  for (const AnswerPart& part : answer.parts) {
    if (part.kind != PartKind::kToolCall) continue;
    shown += "T[" + part.call_name + (part.call_id.starts_with("id") ? "" : "#" + part.call_id) + " " + SameJson(part.text) + "]";
  }
  return shown + answer.error.message;
}

// Without what the prompt has written of it, unless the answer writes that again.
std::string WithoutBegun(const std::string& text, const std::string& begun, const std::string& answer) {
  for (std::size_t size = std::min(text.size(), begun.size()); size > 0; --size) {
    const std::string first = text.substr(0, size);
    if (begun.ends_with(first)) return answer.starts_with(first) ? text : text.substr(size);
  }
  return text;
}

// What the answer adds to what it begins with.
std::string Expected(const common_json& test, const ChatPrompt& prompt, const std::string& generation_prompt) {
  const common_json& expected = test.at("expected");
  std::string content = TextOf(expected, "content");
  std::string reasoning = TextOf(expected, "reasoning");
  const ChatMessage& last = prompt.messages.back();
  const std::string text = TextOf(test, "text");
  content = WithoutBegun(content, prompt.continue_final_message ? last.content : generation_prompt, text);
  reasoning = WithoutBegun(reasoning, prompt.continue_final_message ? last.reasoning_content : generation_prompt, text);
  std::string shown = "R[" + Stripped(reasoning) + "]C[" + Stripped(content) + "]";
  for (const ExpectedCall& call : CallsOf(expected)) {
    const std::string arguments = call.arguments.empty() ? "{}" : SameJson(call.arguments);
    shown += "T[" + call.name + (call.id.empty() ? "" : "#" + call.id) + " " + arguments + "]";
  }
  return shown;
}

// Where ours reads something else, on purpose.
struct Otherwise {
  const char* template_name;
  const char* text;  // how it ends
  const char* why;
};
constexpr Otherwise kOtherwise[] = {
    {"", "\n```", "content that keeps a schema is written without fences here"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "\"special_function\", ",
     "what of a call breaks off before its arguments is content"},
    {"Cohere2MoE", "\"special_function\", ", "likewise"},
    {"google-gemma-4-31B-it", "<channel|>", "a mark that closes nothing is content"},
    {"inclusionai-ling-3.0-flash", "Hello, world!", "thoughts without content behind them go on: nobody says otherwise here"},
    {"muse-glimmer", "<|eot|>", "the token that ends an answer is in none"},
    {"openai-gpt-oss-120b", "python3 -c 'print(\"hello\")'", "calls of functions that it was not given are content"},
    {"openai-gpt-oss-120b", "print(\"hello\")", "likewise"},
};

bool IsReadOtherwise(const std::string& name, const std::string& text) {
  return std::ranges::any_of(kOtherwise, [&](const Otherwise& otherwise) {
    return (*otherwise.template_name == '\0' || name == otherwise.template_name) && text.ends_with(otherwise.text);
  });
}

// What is wrong with the text, or with a beginning of it.
std::string WrongWhereCut(const std::shared_ptr<const AnswerFormat>& format, const std::string& text) {
  constexpr std::size_t kStep = 7;  // all of them would take half a minute
  for (std::size_t size = text.size(); size > 0; size -= std::min(size, kStep)) {
    while (size < text.size() && (text[size] & 0xC0) == 0x80) --size;
    const std::string wrong = WhatIsWrong(format, std::string_view(text).substr(0, size), false);
    if (!wrong.empty()) return wrong + " (the first " + std::to_string(size) + " bytes)";
  }
  return {};
}

TEST(LlamaCppAnswers, AreReadAsItsTestsExpect) {
  const common_json data = LlamaCppAnswers();
  int same = 0;
  int others = 0;
  for (const common_json& test : data.at("cases")) {
    const std::string name = TextOf(test, "template");
    const std::string text = TextOf(test, "text");
    const ChatPrompt prompt = PromptOf(test, data.at("tools"));
    const auto format = FormatOf(name, prompt);
    EXPECT_EQ(WrongWhereCut(format, text), "") << name << "\n" << text;
    const std::string read = Read(ReadWhole(format, text, !test.value("partial", false)));
    const std::string expected = Expected(test, prompt, format->generation_prompt());
    if (read != expected && IsReadOtherwise(name, text)) {
      ++others;
    } else {
      EXPECT_EQ(read, expected) << name << " " << format->problem() << "\n" << text << "\n";
      ++same;
    }
  }
  EXPECT_GT(same, 445);
  EXPECT_EQ(others, 12);
}

}  // namespace
}  // namespace cllm
