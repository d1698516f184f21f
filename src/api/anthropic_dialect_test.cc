#include "api/anthropic_dialect.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/anthropic_writer.h"
#include "api/testing_json.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr const char* kLeastMessages = R"({"max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]})";
constexpr const char* kInputTool =
    R"([{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}, "cache_control": {"type": "ephemeral"}}])";

AnthropicDialect Messages() { return AnthropicDialect({.id = "toy", .created_unix_s = 1}); }

ChatPrompt PromptOfMessages(const std::string& messages) {
  return std::get<ChatPrompt>(Parsed(Messages(), With(kLeastMessages, "messages", messages)).request.prompt);
}

// The events of a stream, each checked to be named twice.
std::vector<Json> NamedEvents(std::string_view stream) {
  std::vector<Json> events;
  while (!stream.empty()) {
    const auto end = stream.find("\n\n");
    const auto line = stream.find("\ndata: ");
    events.push_back(Json::parse(stream.substr(line + 7, end - line - 7)));
    EXPECT_EQ(stream.substr(0, line), "event: " + events.back()["type"].get<std::string>());
    stream.remove_prefix(end + 2);
  }
  return events;
}

AnswerPart CallPart(int call, const std::string& name, const std::string& arguments) {
  AnswerPart part{.kind = AnswerPart::Kind::kToolCall, .text = arguments, .call = call};
  if (!name.empty()) part.call_id = "toolu_" + name;
  part.call_name = name;
  return part;
}

GenerationEnd EndWith(FinishReason reason) {
  GenerationEnd end;
  end.reason = reason;
  end.prompt_tokens = 10;
  end.cached_tokens = 4;
  end.generated_tokens = 3;
  return end;
}

TEST(AnthropicMessagesTest, TheSystemPromptComesFirstAndBlocksAreJoined) {
  const ParsedCall call = Parsed(Messages(), R"({"max_tokens": 8, "stop_sequences": ["x"], "temperature": 0.5, "top_k": 3,
    "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
    "metadata": {"user_id": "u"}, "messages": [{"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}]})");
  const auto& prompt = std::get<ChatPrompt>(call.request.prompt);
  EXPECT_EQ(prompt.messages, (std::vector<ChatMessage>{{.role = "system", .content = "a\nb"}, {.role = "user", .content = "c\nd"}}));
  EXPECT_TRUE(prompt.add_generation_prompt);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(call.request.max_tokens, 8);
  EXPECT_EQ(call.request.sampling.top_k, 3);
  EXPECT_TRUE(call.ignored_fields.empty());
}

TEST(AnthropicMessagesTest, WhatToolsGaveAreMessagesOfTheirOwnInTheirPlace) {
  const ChatPrompt prompt = PromptOfMessages(R"([
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "?"},
      {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}, {"type": "tool_use", "id": "2", "name": "g", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "sun"},
      {"type": "tool_result", "tool_use_id": "2", "is_error": true, "content": [{"type": "text", "text": "no"}]}, {"type": "text", "text": "so?"}]}])");
  ASSERT_EQ(prompt.messages.size(), 5U);
  EXPECT_EQ(
      prompt.messages[1],
      (ChatMessage{.role = "assistant",
                   .content = "I look.",
                   .reasoning_content = "hm",
                   .tool_calls = {{.id = "1", .name = "f", .arguments = R"({"a":1})"}, {.id = "2", .name = "g", .arguments = "{}"}}}));
  EXPECT_EQ(prompt.messages[2], (ChatMessage{.role = "tool", .content = "sun", .tool_call_id = "1"}));
  EXPECT_EQ(prompt.messages[3], (ChatMessage{.role = "tool", .content = "Error: no", .tool_call_id = "2"}));
  EXPECT_EQ(prompt.messages[4], (ChatMessage{.role = "user", .content = "so?"}));
}

TEST(AnthropicMessagesTest, ALastMessageOfTheAssistantIsTheBeginningOfTheAnswer) {
  const ChatPrompt prompt = PromptOfMessages(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}])");
  EXPECT_TRUE(prompt.continue_final_message);
  EXPECT_FALSE(prompt.add_generation_prompt);
}

TEST(AnthropicMessagesTest, ModelsThinkWhereTheyAreAskedTo) {
  const auto thinks = [](const std::string& body) {
    return std::get<ChatPrompt>(Parsed(Messages(), body).request.prompt).template_arguments["enable_thinking"];
  };
  EXPECT_EQ(thinks(kLeastMessages), "false");
  EXPECT_EQ(thinks(With(kLeastMessages, "thinking", R"({"type": "disabled"})")), "false");
  EXPECT_EQ(thinks(With(kLeastMessages, "thinking", R"({"type": "enabled"})")), "true");
  EXPECT_EQ(thinks(With(kLeastMessages, "thinking", R"({"type": "adaptive"})")), "");
  const ParsedCall bounded = Parsed(Messages(), With(kLeastMessages, "thinking", R"({"type": "enabled", "budget_tokens": 1024})"));
  EXPECT_EQ(std::get<ChatPrompt>(bounded.request.prompt).reasoning_budget, 1024);
}

TEST(AnthropicMessagesTest, WhatIsWrongIsNamed) {
  struct Case {
    const char* messages;
    const char* field;
    const char* part;
  };
  for (const auto& [messages, field, part] : {
           Case{R"([{"role": "tool", "content": "x"}])", "messages[0].role", "must be user or assistant"},
           Case{R"([{"role": "user"}])", "messages[0].content", "string or an array of blocks"},
           Case{R"([{"role": "user", "content": ["x"]}])", "messages[0].content", "content[0] must be an object"},
           Case{R"([{"role": "user", "content": [{"type": "image", "source": {}}]}])", "messages[0].content[0].type", "read text alone"},
           Case{R"([{"role": "user", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]}])",
                "messages[0].content[0].type", "must be text or tool_result"},
           Case{R"([{"role": "assistant", "content": [{"type": "web_search_tool_result"}]}])", "messages[0].content[0].type",
                "web_search_tool_result"},
           Case{R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text", "text is missing"},
           Case{R"([{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": "x"}]}])",
                "messages[0].content[0].input", "must be an object"},
           Case{R"([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image"}]}]}])",
                "messages[0].content[0].content[0].type", "read text alone"},
           Case{R"([])", "messages", "1 to 10000 messages"},
       }) {
    const Error error = ErrorOf(Messages(), With(kLeastMessages, "messages", messages));
    EXPECT_EQ(error.field, field) << messages;
    EXPECT_TRUE(error.message.contains(part)) << error.message;
  }
}

TEST(AnthropicMessagesTest, ToolsHaveInputSchemasAndServersToolsAreRefused) {
  const std::string with_tool = With(kLeastMessages, "tools", kInputTool);
  const auto choice = [&](const char* value) {
    return std::get<ChatPrompt>(Parsed(Messages(), With(with_tool.c_str(), "tool_choice", value)).request.prompt);
  };
  const ChatPrompt prompt = choice(R"({"type": "auto"})");
  ASSERT_EQ(prompt.tools.size(), 1U);
  EXPECT_EQ(prompt.tools[0].parameters, R"({"type":"object","properties":{"a":{"type":"integer"}}})");
  EXPECT_TRUE(prompt.parallel_tool_calls);
  EXPECT_FALSE(choice(R"({"type": "auto", "disable_parallel_tool_use": true})").parallel_tool_calls);
  EXPECT_EQ(choice(R"({"type": "any"})").tool_choice.kind, ToolChoice::Kind::kRequired);
  EXPECT_EQ(choice(R"({"type": "tool", "name": "f"})").tool_choice, (ToolChoice{ToolChoice::Kind::kFunction, "f"}));
  EXPECT_EQ(choice(R"({"type": "none"})").tool_choice.kind, ToolChoice::Kind::kNone);
  EXPECT_EQ(ErrorOf(Messages(), With(with_tool.c_str(), "tool_choice", R"({"type": "tool", "name": "g"})")).field, "tool_choice.name");
  EXPECT_EQ(ErrorOf(Messages(), With(with_tool.c_str(), "tool_choice", R"("auto")")).field, "tool_choice");
  const Error error = ErrorOf(Messages(), With(kLeastMessages, "tools", R"([{"type": "web_search_20250305", "name": "web_search"}])"));
  EXPECT_EQ(error.field, "tools[0].type");
  EXPECT_TRUE(error.message.contains("web_search_20250305"));
}

TEST(AnthropicWriterTest, AStreamTellsOfEachBlock) {
  AnthropicWriter writer({.id = "toy"});
  TextDelta thought;
  thought.reasoning = "hm";
  thought.counts = {.prompt = 10, .cached = 4, .generated = 1};
  std::string stream = writer.StreamDelta(thought);
  TextDelta text;
  text.text = "I look.";
  stream += writer.StreamDelta(text);
  TextDelta calls;
  calls.calls = {CallPart(0, "f", R"({"a")"), CallPart(0, "", ":1}"), CallPart(1, "g", "{}")};
  stream += writer.StreamDelta(calls);
  stream += writer.StreamEnd(EndWith(FinishReason::kStop));
  const std::vector<Json> events = NamedEvents(stream);
  const std::vector<Json> expected = {
      {{"type", "message_start"},
       {"message",
        {{"id", writer.id()},
         {"type", "message"},
         {"role", "assistant"},
         {"model", "toy"},
         {"content", Json::array()},
         {"stop_reason", nullptr},
         {"stop_sequence", nullptr},
         {"stop_details", nullptr},
         {"container", nullptr},
         {"usage",
          {{"input_tokens", 6},
           {"cache_creation_input_tokens", 0},
           {"cache_read_input_tokens", 4},
           {"output_tokens", 0},
           {"output_tokens_details", {{"thinking_tokens", 0}}},
           {"server_tool_use", nullptr},
           {"cache_creation", nullptr},
           {"inference_geo", nullptr},
           {"service_tier", nullptr}}}}}},
      Json::parse(R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})"),
      Json::parse(R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})"),
      {{"type", "content_block_delta"}, {"index", 0}, {"delta", {{"type", "signature_delta"}, {"signature", writer.id()}}}},
      Json::parse(R"({"type":"content_block_stop","index":0})"),
      Json::parse(R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":[]}})"),
      Json::parse(R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I look."}})"),
      Json::parse(R"({"type":"content_block_stop","index":1})"),
      Json::parse(
          R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_f","name":"f","input":{},"caller":{"type":"direct"}}})"),
      Json::parse(R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}})"),
      Json::parse(R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}})"),
      Json::parse(R"({"type":"content_block_stop","index":2})"),
      Json::parse(
          R"({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_g","name":"g","input":{},"caller":{"type":"direct"}}})"),
      Json::parse(R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}})"),
      Json::parse(R"({"type":"content_block_stop","index":3})"),
      Json::parse(
          R"({"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null,"container":null},
              "usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null}})"),
      Json::parse(R"({"type":"message_stop"})")};
  EXPECT_EQ(events, expected);
}

TEST(AnthropicWriterTest, AWholeAnswerHasTheSameBlocks) {
  TextDelta answer;
  answer.text = "I look.";
  answer.reasoning = "hm";
  answer.calls = {CallPart(0, "f", R"({"a":1})"), CallPart(1, "g", R"({"b)")};
  AnthropicWriter writer({.id = "toy"});
  const Json whole = Json::parse(writer.Whole({answer}, EndWith(FinishReason::kLength)));
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_EQ(whole["content"], Json::parse(R"([{"type":"thinking","thinking":"hm","signature":")" + writer.id() +
                                          R"("},{"type":"text","text":"I look.","citations":[]},
              {"type":"tool_use","id":"toolu_f","name":"f","input":{"a":1},"caller":{"type":"direct"}},
              {"type":"tool_use","id":"toolu_g","name":"g","input":{"_incomplete":"{\"b"},"caller":{"type":"direct"}}])"));
}

TEST(AnthropicWriterTest, AnAnswerSaysWhyItEnded) {
  GenerationEnd end = EndWith(FinishReason::kStop);
  EXPECT_EQ(Json::parse(AnthropicWriter({}).Whole({{}}, end))["stop_reason"], "end_turn");
  EXPECT_EQ(Json::parse(AnthropicWriter({}).Whole({{}}, end))["content"], Json::parse(R"([{"type":"text","text":"","citations":[]}])"));
  end.stop_string = "END";
  const Json stopped = Json::parse(AnthropicWriter({}).Whole({{}}, end));
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], "END");
}

TEST(AnthropicWriterTest, AStreamThatFailsSaysWhy) {
  GenerationEnd end;
  end.status = Fail(ErrorCode::kTimedOut, "too late");
  EXPECT_EQ(NamedEvents(AnthropicWriter({}).StreamEnd(end)),
            std::vector<Json>{Json::parse(R"({"type":"error","error":{"type":"timeout_error","message":"too late"},"request_id":null})")});
}

TEST(AnthropicMessagesTest, TokensOfARequestAreCounted) {
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  Result<ChunkedText> few = CountTokensBody(ToyTextModel(), kLeastMessages, WorkLimits{stop, memory});
  Result<ChunkedText> more = CountTokensBody(ToyTextModel(), With(kLeastMessages, "system", R"("be good")"), WorkLimits{stop, memory});
  ASSERT_TRUE(few && more);
  EXPECT_LT(Json::parse(few->TakeAll())["input_tokens"].get<int>(), Json::parse(more->TakeAll())["input_tokens"].get<int>());
}

}  // namespace
}  // namespace cllm
