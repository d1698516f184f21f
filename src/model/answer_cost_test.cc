// What it costs to read an answer: counted, not timed.
#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <cstdio>

#include "base/testing_build.h"
#include "model/answer_grammar.h"
#include "model/testing_answer_families.h"

namespace cllm {
namespace {

using CostKind = AnswerPart::Kind;

std::string Words(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "The quick <b>brown</b> fox {jumps} over [the] \"lazy\" dog. ";
  return text + "End.";
}

std::string Call(const std::string& city) { return R"({"name": "get_weather", "arguments": {"city": ")" + city + "\"}}"; }

TEST(AnswerCost, ContentAndReasoningPassUnparsed) {
  const std::string words = Words(100'000);
  const auto plain = ReadInPieces(FormatOf("Qwen-Qwen3-0.6B", TestChat()), words, 4);
  EXPECT_EQ(plain.Text(CostKind::kContent), words);
  EXPECT_LT(plain.parsed_bytes, 10'000u);
  const auto thinks = ReadInPieces(FormatOf("Qwen-Qwen3-0.6B", TestChat()), "<think>" + words + "</think>" + words, 4);
  EXPECT_EQ(thinks.Text(CostKind::kContent), words);
  EXPECT_EQ(thinks.Text(CostKind::kReasoning), words);
  EXPECT_LT(thinks.parsed_bytes, 10'000u);
  const std::string channels = "<|channel|>analysis<|message|>" + words + "<|end|><|start|>assistant<|channel|>final<|message|>" + words;
  const auto harmony = ReadInPieces(FormatOf("openai-gpt-oss-120b", TestChat()), channels, 4);
  EXPECT_EQ(harmony.Text(CostKind::kContent), words);
  EXPECT_EQ(harmony.Text(CostKind::kReasoning), words);
  EXPECT_LT(harmony.parsed_bytes, 20'000u);
}

TEST(AnswerCost, ContentWithoutToolsIsNeverParsed) {
  const auto format = FormatOf("meta-llama-Llama-3.1-8B-Instruct", TestChat(false));
  const std::string braces(100'000, '{');
  const auto answer = ReadInPieces(format, braces, 4);
  EXPECT_EQ(answer.Text(CostKind::kContent), braces);
  EXPECT_LT(answer.parsed_bytes, 1'000u);
}

TEST(AnswerCost, LongArgumentsAreParsedAFewTimes) {
  for (const char* name : {"Qwen-Qwen3-0.6B", "ibm-granite-granite-4.0"}) {
    const auto format = FormatOf(name, TestChat());
    for (const std::size_t bytes : {1'000, 10'000, 100'000}) {
      const std::string city(bytes, 'x');
      const std::string text = "<tool_call>\n" + Call(city) + "\n</tool_call>";
      const auto answer = ReadInPieces(format, text, 4);
      EXPECT_EQ(answer.Text(CostKind::kToolCall), "{\"city\": \"" + city + "\"}");
      EXPECT_LT(answer.parsed_bytes, 12 * text.size() + 10'000) << bytes;
    }
  }
}

TEST(AnswerCost, ManyCallsAreParsedAFewTimes) {
  const auto format = FormatOf("Qwen-Qwen3-0.6B", TestChat());
  std::string text;
  for (int i = 0; i < 500; ++i) text += "So <tool_call>\n" + Call("Rome") + "\n</tool_call>\n";
  const auto answer = ReadInPieces(format, text, 4);
  EXPECT_EQ(std::ranges::count_if(answer.parts, [](const AnswerPart& part) { return !part.call_name.empty(); }), 500);
  EXPECT_LT(answer.parsed_bytes, 60 * text.size());
  EXPECT_EQ(ReadWhole(format, text).Shown(), answer.Shown());
}

// Whatever a text looks like, its cost has a bound, and where that is reached the rest is content.
TEST(AnswerCost, HostileTextsAreBounded) {
  const std::string nested = R"({"name": "get_weather", "parameters": {"city": {"name": "get_weather", "parameters": )";
  for (const char* name :
       {"meta-llama-Llama-3.1-8B-Instruct", "Qwen-Qwen3-0.6B", "mistralai-Mistral-Nemo-Instruct-2407", "openai-gpt-oss-120b",
        "CohereForAI-c4ai-command-r7b-12-2024-tool_use", "LFM2-8B-A1B", "google-gemma-4-31B-it", "Qwen3-Coder", "MiniMax-M3"}) {
    const auto format = FormatOf(name, TestChat());
    for (const std::string& piece :
         std::vector<std::string>{"{", "<", "<tool_call>", "[TOOL_CALLS][", nested, "<think>", "</think>", "<|channel|>", "{\"name\": \"",
                                  "<|tool_call>call:get_weather{city:{", "[get_weather(city=["}) {
      std::string text;
      while (text.size() < (kIsSanitized ? 5'000 : 50'000)) text += piece;
      const auto answer = ReadInPieces(format, text, 4);
      EXPECT_LE(answer.parsed_bytes, AnswerParser::kMostParsedBytes + (AnswerParser::kMostParsedPerByte + 2) * text.size())
          << name << piece;
    }
  }
}

struct DeepTexts {
  const std::vector<std::pair<std::shared_ptr<const AnswerFormat>, std::string>>* texts;
  std::size_t read;
};

void* ReadDeepTexts(void* argument) {
  auto* all = static_cast<DeepTexts*>(argument);
  for (const auto& [format, text] : *all->texts) {
    ReadWhole(format, text);
    ++all->read;
  }
  return nullptr;
}

std::vector<std::pair<std::shared_ptr<const AnswerFormat>, std::string>> AllDeepTexts() {
  const std::vector<std::pair<const char*, std::string>> beginnings = {
      {"Qwen-Qwen3-0.6B", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "},
      {"meta-llama-Llama-3.1-8B-Instruct", R"({"name": "get_weather", "parameters": {"city": )"},
      {"mistralai-Mistral-Nemo-Instruct-2407", R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": )"},
      {"openai-gpt-oss-120b", R"(<|channel|>commentary to=functions.get_weather<|message|>{"city": )"},
      {"Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=days>\n"},
      {"LFM2-8B-A1B", "<|tool_call_start|>[get_weather(days="},
      {"google-gemma-4-31B-it", "<|tool_call>call:get_weather{days:"},
      {"MiniMax-M3", "]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"get_weather\">]<]minimax[>[<days>"},
      {"GLM-4.6", "<tool_call>get_weather\n<arg_key>days</arg_key>\n<arg_value>"},
  };
  std::vector<std::pair<std::shared_ptr<const AnswerFormat>, std::string>> texts;
  for (const auto& [name, beginning] : beginnings) {
    const auto format = FormatOf(name, TestChat());
    for (const std::string& open :
         std::vector<std::string>{"[", "{\"a\":", "[[\"]\",", "['\"', ", "{a]:", "{'\"]': ", "<", "[[[]", "{a:<|\"|>}<|\"|>,b:"}) {
      for (const std::size_t most : {200, 1'000, 100'000}) {
        std::string text = beginning;
        while (text.size() < most) text += open;
        texts.emplace_back(format, text);
      }
    }
  }
  return texts;
}

TEST(AnswerCost, DeepTextsTakeLittleOfTheStack) {
  const auto texts = AllDeepTexts();
  DeepTexts deep{&texts, 0};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kIsSanitized ? std::size_t{8} << 20 : std::size_t{512} << 10);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, ReadDeepTexts, &deep), 0);
  pthread_join(thread, nullptr);
  EXPECT_EQ(deep.read, texts.size());
}

TEST(AnswerCost, NestingIsCountedWhereverAValueBegins) {
  EXPECT_TRUE(NestsDeeper("[[[", 2, false));
  EXPECT_FALSE(NestsDeeper("[[]]{}[]", 2, false));
  EXPECT_FALSE(NestsDeeper("\"[[[\"", 3, false));
  EXPECT_TRUE(NestsDeeper("a \" b: [[[", 2, false));
  EXPECT_TRUE(NestsDeeper("['\"', ['\"', ['\"', [", 3, true));
  EXPECT_TRUE(NestsDeeper("[\"]\\\"]\", [\"]]]\", [", 2, false));
}

// A format is found once for the same tools and settings, whatever is said.
TEST(AnswerCost, FormatsAreKept) {
  const auto chat_template = ChatTemplate::FromText(TemplateFile("Qwen-Qwen3-0.6B"));
  ChatPrompt chat = TestChat();
  const auto first = chat_template->Prepare(chat)->format;
  chat.messages.push_back({.role = "assistant", .content = "It rains"});
  chat.messages.push_back({.role = "user", .content = "Thanks"});
  chat.tools[0].description = "Another";
  EXPECT_EQ(chat_template->Prepare(chat)->format, first);
  chat.tools[0].name = "other";
  EXPECT_NE(chat_template->Prepare(chat)->format, first);
  EXPECT_NE(chat_template->Prepare(WithoutThinking(TestChat()))->format, first);
  EXPECT_EQ(chat_template->Prepare(TestChat())->format, first);
  for (int i = 0; i < 100; ++i) {
    chat.tools[0].name = "tool" + std::to_string(i);
    ASSERT_TRUE(chat_template->Prepare(chat));
  }
  EXPECT_NE(chat_template->Prepare(TestChat())->format, first);  // forgotten for others
}

TEST(AnswerCost, DISABLED_Times) {
  const auto time = [](const char* what, int times, const auto& run) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) run();
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
    std::printf("%-60s %10.1f us\n", what, taken.count() / times);
  };
  for (const char* name : {"Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct", "openai-gpt-oss-120b",
                           "mistralai-Mistral-Nemo-Instruct-2407", "Qwen3-Coder", "deepseek-ai-DeepSeek-V3.1"}) {
    const auto chat_template = ChatTemplate::FromText(TemplateFile(name));
    std::printf("%s\n", name);
    int i = 0;
    time("  render", 20, [&] { static_cast<void>(chat_template->Render(TestChat())); });
    time("  prepare, new tools", 20, [&] {
      ChatPrompt chat = TestChat();
      chat.tools[0].name = "tool" + std::to_string(i++);
      static_cast<void>(chat_template->Prepare(chat));
    });
    static_cast<void>(chat_template->Prepare(TestChat()));
    time("  prepare, known tools", 20, [&] { static_cast<void>(chat_template->Prepare(TestChat())); });
  }
  ChatPrompt many = TestChat(false);
  for (int i = 0; i < 128; ++i) {
    std::string properties;
    for (int j = 0; j < 20; ++j) properties += (j > 0 ? "," : "") + std::string("\"p") + std::to_string(j) + R"(":{"type":"string"})";
    many.tools.push_back({.name = "tool" + std::to_string(i), .parameters = R"({"type":"object","properties":{)" + properties + "}}"});
  }
  for (const char* name : {"Qwen-Qwen3-0.6B", "Qwen3-Coder"}) time("128 tools of 20 parameters", 1, [&] { FormatOf(name, many); });
  const auto format = FormatOf("Qwen-Qwen3-0.6B", TestChat());
  const std::string words = Words(16'000);
  time("4000 tokens of content", 20, [&] { ReadInPieces(format, words, 4); });
  time("4000 tokens of reasoning", 20, [&] { ReadInPieces(format, "<think>" + words, 4); });
  time("one call of 100 bytes", 20, [&] { ReadInPieces(format, "<tool_call>\n" + Call("Rome") + "\n</tool_call>", 4); });
  time("4000 tokens of one argument", 20,
       [&] { ReadInPieces(format, "<tool_call>\n" + Call(std::string(16'000, 'x')) + "\n</tool_call>", 4); });
  const auto llama = FormatOf("meta-llama-Llama-3.1-8B-Instruct", TestChat());
  time("4000 tokens of code, calls begin with {", 20, [&] { ReadInPieces(llama, words, 4); });
  const auto command = FormatOf("CohereForAI-c4ai-command-r7b-12-2024-tool_use", TestChat());
  time("4000 tokens outside of Command R7B's format", 20, [&] { ReadInPieces(command, words, 4); });
}

}  // namespace
}  // namespace cllm
