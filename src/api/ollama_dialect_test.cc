#include "api/ollama_dialect.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/ollama_models.h"
#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr const char* kLeastOllamaChat = R"({"model": "m", "messages": [{"role": "user", "content": "hi"}]})";
constexpr const char* kLeastOllamaPrompt = R"({"model": "m", "prompt": "hi"})";

OllamaDialect ChatOf(int max_context = 100) { return {OllamaForm::kChat, {}, max_context}; }
OllamaDialect GenerateOf(int max_context = 100) { return {OllamaForm::kGenerate, {}, max_context}; }

std::vector<Json> Lines(std::string_view stream) {
  std::vector<Json> lines;
  while (!stream.empty()) {
    const auto end = stream.find('\n');
    lines.push_back(Json::parse(stream.substr(0, end)));
    lines.back().erase("created_at");
    stream.remove_prefix(end + 1);
  }
  return lines;
}

AnswerPart OllamaCall(int call, const char* name, const char* arguments) {
  AnswerPart part{.kind = AnswerPart::Kind::kToolCall, .text = arguments, .call = call};
  if (*name != '\0') part.call_id = std::string("id_") + name;
  part.call_name = name;
  return part;
}

TEST(OllamaDialectTest, OptionsAreObeyedOneByOne) {
  const ParsedCall call = Parsed(ChatOf(), With(kLeastOllamaChat, "options", R"({"temperature": 0.5, "top_k": 3, "seed": 7, "stop": ["x"],
    "repeat_penalty": 1.1, "num_predict": 9, "num_ctx": 100, "num_gpu": 1, "mirostat": 0})"));
  EXPECT_EQ(call.request.sampling.temperature, 0.5F);
  EXPECT_EQ(call.request.sampling.top_k, 3);
  EXPECT_EQ(call.request.seed, 7U);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(call.request.max_tokens, 9);
  EXPECT_TRUE(call.stream) << "as Ollama streams";
  EXPECT_TRUE(call.ignored_fields.empty());
  EXPECT_EQ(Parsed(ChatOf(), With(kLeastOllamaChat, "options", R"({"num_predict": -2})")).request.max_tokens, kUntilContextEnd);
}

// ollama-ai-provider-v2 and others that know OpenAI's places.
TEST(OllamaDialectTest, OptionsMayStandBesideTheOptions) {
  const char* body =
      R"({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0, "top_p": 0.5, "seed": 7, "timeout": 5,
    "max_output_tokens": 9, "tool_choice": {"type": "function", "name": "f"}, "tools": [{"type": "function", "function": {"name": "f"}}]})";
  const ParsedCall call = Parsed(ChatOf(), body);
  EXPECT_EQ(call.request.sampling.temperature, 0.0F);
  EXPECT_EQ(call.request.sampling.top_p, 0.5F);
  EXPECT_EQ(call.request.seed, 7U);
  EXPECT_EQ(call.request.timeout_s, 5.0);
  EXPECT_EQ(call.request.max_tokens, 9);
  EXPECT_EQ(std::get<ChatPrompt>(call.request.prompt).tool_choice.function, "f");
  const ParsedCall both = Parsed(ChatOf(), With(body, "options", R"({"temperature": 0.25, "num_predict": 3})"));
  EXPECT_EQ(both.request.sampling.temperature, 0.25F) << "as Ollama has it";
  EXPECT_EQ(both.request.max_tokens, 3);
  EXPECT_EQ(both.request.timeout_s, 5.0);
}

TEST(OllamaDialectTest, WhatCannotBeHadIsRefusedByName) {
  struct Case {
    const char* name;
    const char* value;
    const char* field;
  };
  for (const auto& [name, value, field] :
       {Case{"options", R"({"num_ctx": 101})", "options.num_ctx"},
        {"options", R"({"mirostat": 2})", "options.mirostat"},
        {"options", R"({"num_thred": 1})", "options.num_thred"},
        {"options", "3", "options"},
        {"format", R"("xml")", "format"},
        {"think", R"("very")", "think"},
        {"keep_alive", "[]", "keep_alive"},
        {"temperature", "3", "temperature"},
        {"messages", R"([{"role": "user", "content": "x", "images": ["aGk="]}])", "messages[0].images"}}) {
    EXPECT_EQ(ErrorOf(ChatOf(), With(kLeastOllamaChat, name, value)).field, field) << name << ": " << value;
  }
  EXPECT_EQ(ErrorOf(GenerateOf(), With(kLeastOllamaPrompt, "images", R"(["aGk="])")).field, "images");
  EXPECT_EQ(ErrorOf(GenerateOf(), With(kLeastOllamaPrompt, "template", R"("x")")).field, "template");
  EXPECT_EQ(ErrorOf(GenerateOf(), With(With(kLeastOllamaPrompt, "raw", "true").c_str(), "system", R"("x")")).field, "system");
}

TEST(OllamaDialectTest, AMessageHasOllamasNames) {
  const auto prompt = std::get<ChatPrompt>(Parsed(ChatOf(), R"({"messages": [
    {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {"a": 1}}}]},
    {"role": "tool", "tool_name": "f", "content": "2"}], "think": false})")
                                               .request.prompt);
  EXPECT_EQ(prompt.messages[0].reasoning_content, "hm");
  EXPECT_EQ(prompt.messages[0].tool_calls[0].arguments, R"({"a":1})");
  EXPECT_EQ(prompt.messages[1].name, "f");
  EXPECT_EQ(prompt.template_arguments.at("enable_thinking"), "false");
}

TEST(OllamaDialectTest, APromptIsAConversationUnlessItIsRaw) {
  const auto chat = std::get<ChatPrompt>(Parsed(GenerateOf(), With(kLeastOllamaPrompt, "system", R"("be good")")).request.prompt);
  EXPECT_EQ(chat.messages, (std::vector<ChatMessage>{{.role = "system", .content = "be good"}, {.role = "user", .content = "hi"}}));
  EXPECT_EQ(std::get<std::string>(Parsed(GenerateOf(), With(kLeastOllamaPrompt, "raw", "true")).request.prompt), "hi");
  EXPECT_EQ(std::get<GapPrompt>(Parsed(GenerateOf(), With(kLeastOllamaPrompt, "suffix", R"("end")")).request.prompt).suffix, "end");
}

TEST(OllamaDialectTest, WithoutAPromptTheModelIsLoadedAndNothingElse) {
  const auto ready = [](const Dialect& dialect, const char* body) {
    Json answer = Json::parse(Parsed(dialect, body).ready_answer.value_or("{}"));
    answer.erase("created_at");
    return answer;
  };
  EXPECT_EQ(ready(ChatOf(), R"({"model": "m", "messages": [], "think": false, "tools": []})")["done_reason"], "load");
  EXPECT_EQ(ready(GenerateOf(), R"({"model": "m"})"), Json::parse(R"({"model":"m","response":"","done":true,"done_reason":"load"})"));
  EXPECT_EQ(ready(ChatOf(), R"({"model": "m", "messages": [], "keep_alive": 0})"),
            Json::parse(R"({"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"unload"})"));
  EXPECT_FALSE(Parsed(GenerateOf(), kLeastOllamaPrompt).ready_answer);
}

TEST(OllamaWriterTest, CallsAreSentWhole) {
  OllamaWriter writer({.form = OllamaForm::kChat, .model = "m"});
  TextDelta first;
  first.reasoning = "hm";
  std::string stream = writer.StreamDelta(first);
  TextDelta pieces;
  pieces.text = "a";
  pieces.calls = {OllamaCall(0, "f", R"({"a")"), OllamaCall(0, "", ":1}"), OllamaCall(1, "g", "{")};
  stream += writer.StreamDelta(pieces);
  EXPECT_EQ(writer.held_bytes(), 1U);
  GenerationEnd end = GoodEnd(FinishReason::kStop);
  end.queue_time_s = 1;
  end.first_token_time_s = 3;
  end.response_time_s = 6;
  end.generation_time_s = 2.5;
  stream += writer.StreamEnd(end);
  const std::vector<Json> lines = Lines(stream);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0], Json::parse(R"({"model":"m","message":{"role":"assistant","content":"","thinking":"hm"},"done":false})"));
  EXPECT_EQ(
      lines[1]["message"],
      Json::parse(
          R"({"role":"assistant","content":"a","tool_calls":[{"id":"id_f","function":{"index":0,"name":"f","arguments":{"a":1}}}]})"));
  EXPECT_EQ(lines[2]["message"]["tool_calls"][0]["function"], Json::parse(R"({"index":1,"name":"g","arguments":{"_incomplete":"{"}})"));
  EXPECT_EQ(lines[3]["done_reason"], "stop");
  EXPECT_EQ(lines[3]["prompt_eval_duration"], 2'000'000'000);
  EXPECT_EQ(lines[3]["eval_duration"], 2'500'000'000);
  EXPECT_EQ(lines[3]["total_duration"], 6'000'000'000);
}

TEST(OllamaWriterTest, AStreamThatFailsSaysWhy) {
  GenerationEnd end;
  end.status = Fail(ErrorCode::kTimedOut, "too late");
  EXPECT_EQ(OllamaWriter({.form = OllamaForm::kGenerate}).StreamEnd(end), "{\"error\":\"too late\"}\n");
}

TEST(OllamaModelsTest, AllAreListedAndTheLoadedOnesRun) {
  ModelList models(3);
  for (std::size_t i = 0; i < 3; ++i) models[i].facts.card.id = "abc"[i];
  models[0].facts.version = "1";
  models[0].max_context = 7;
  models[1].state = ModelState::kUnloaded;
  models[2].seconds_left = 1e6;
  const Json tags = Json::parse(OllamaTagsBody(models))["models"];
  ASSERT_EQ(tags.size(), 3);
  EXPECT_EQ(tags[1]["name"], "b:latest");
  const Json running = Json::parse(OllamaRunningBody(models))["models"];
  ASSERT_EQ(running.size(), 2);
  EXPECT_EQ(running[0]["context_length"], 7);
  EXPECT_EQ(running[0]["expires_at"], "9999-12-31T23:59:59Z");
  EXPECT_EQ(running[1]["name"], "c:latest");
  EXPECT_LT(running[1]["expires_at"], "9999");
  EXPECT_EQ(Json::parse(OllamaVersionBody(models))["cllm"], "1");
}

TEST(OllamaModelsTest, AModelIsKnownWithAndWithoutItsTag) {
  ServerFacts facts{.card = {.id = "toy"}};
  facts.architecture = "llama";
  facts.trained_context = 5;
  const FindModel find = [&](std::string_view name) -> Result<ListedModel> {
    if (name == "toy" || name == "toy:latest") return ListedModel{.facts = facts};
    return Fail(ErrorCode::kModelNotFound, "there is toy", "model");
  };
  for (const char* body : {R"({"model": "toy"})", R"({"name": "toy:latest", "verbose": true})"}) {
    const Result<std::string> shown = OllamaShowBody(find, body);
    ASSERT_TRUE(shown) << shown.error().message;
    EXPECT_EQ(Json::parse(*shown)["model_info"]["llama.context_length"], 5);
    EXPECT_TRUE(OllamaPullBody(find, body));
  }
  EXPECT_EQ(OllamaShowBody(find, R"({"model": "toy:8b"})").error().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(OllamaShowBody(find, "{}").error().message, "model is missing");
  EXPECT_TRUE(OllamaPullBody(find, R"({"model": "other"})").error().message.contains("cllm pull"));
}

}  // namespace
}  // namespace cllm
