#include "api/tool_fields.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/openai_chat.h"
#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr char kAsk[] = R"({"messages": [{"role": "user", "content": "hi"}]})";
constexpr char kTool[] = R"({"type": "function", "function": {"name": "look", "description": "Looks.", "parameters":
    {"type": "object", "properties": {"at": {"type": "string", "maxLength": 3}}, "required": ["at"], "additionalProperties": false}}})";

OpenAiChatDialect Dialect() { return OpenAiChatDialect({.id = "toy"}); }

ParsedCall Read(const std::string& fields) {
  Json body = Json::parse(kAsk);
  body.update(Json::parse(fields));
  Result<ParsedCall> call = Dialect().Parse(body.dump());
  EXPECT_TRUE(call) << (call ? "" : call.error().message);
  return std::move(*call);
}

std::string WithTool(const std::string& rest) { return R"({"tools": [)" + std::string(kTool) + "]" + rest + "}"; }

const ChatPrompt& ChatOf(const ParsedCall& call) { return std::get<ChatPrompt>(call.request.prompt); }

TEST(ToolFieldsTest, ToolsAreWhatTheModelIsTold) {
  const ParsedCall call = Read(WithTool(""));
  const ChatPrompt& chat = ChatOf(call);
  ASSERT_EQ(chat.tools.size(), 1U);
  EXPECT_EQ(chat.tools[0].name, "look");
  EXPECT_EQ(chat.tools[0].description, "Looks.");
  EXPECT_TRUE(Json::parse(chat.tools[0].parameters).contains("properties"));
  EXPECT_TRUE(Json::parse(chat.tools[0].enforced).contains("properties"));
  EXPECT_EQ(chat.tool_choice.kind, ToolChoice::Kind::kAuto);
  EXPECT_TRUE(chat.parallel_tool_calls);
  EXPECT_FALSE(chat.tools[0].is_strict);
  EXPECT_TRUE(ChatOf(Read(R"({"tools": [{"type": "function", "function": {"name": "look", "strict": true}}]})")).tools[0].is_strict);
  EXPECT_TRUE(call.relaxed_schema.empty());
}

TEST(ToolFieldsTest, ChoicesAreRead) {
  EXPECT_EQ(ChatOf(Read(WithTool(R"(, "tool_choice": "none")"))).tool_choice.kind, ToolChoice::Kind::kNone);
  const ParsedCall required = Read(WithTool(R"(, "tool_choice": "required")"));
  EXPECT_EQ(ChatOf(required).tool_choice.kind, ToolChoice::Kind::kRequired);
  EXPECT_FALSE(ChatOf(required).parallel_tool_calls) << "one call unless several are asked for";
  EXPECT_TRUE(ChatOf(Read(WithTool(R"(, "tool_choice": "required", "parallel_tool_calls": true)"))).parallel_tool_calls);
  const ParsedCall named = Read(WithTool(R"(, "tool_choice": {"type": "function", "function": {"name": "look"}})"));
  EXPECT_EQ(ChatOf(named).tool_choice, (ToolChoice{.kind = ToolChoice::Kind::kFunction, .function = "look"}));
}

TEST(ToolFieldsTest, ADemandedCallBeginsAnAnswer) {
  const auto body = [](const std::string& fields) {
    Json json = Json::parse(R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "So"}]})");
    json.update(Json::parse(WithTool(fields)));
    return json.dump();
  };
  for (const char* choice : {R"("required")", R"({"type": "function", "function": {"name": "look"}})"}) {
    const std::string demand = std::string(R"(, "tool_choice": )") + choice;
    const Error error = ErrorOf(Dialect(), body(demand));
    EXPECT_EQ(error.field, "tool_choice");
    EXPECT_NE(error.message.find("cannot go on with a last message of the assistant"), std::string::npos) << error.message;
    EXPECT_TRUE(Dialect().Parse(body(demand + R"(, "add_generation_prompt": true)")));
  }
  EXPECT_TRUE(Dialect().Parse(body("")));
}

TEST(ToolFieldsTest, ACallThatIsDemandedHasToKeepItsSchema) {
  const auto check = [](const char* choice, const char* name, const char* arguments) {
    return Read(WithTool(std::string(R"(, "tool_choice": )") + choice))
        .request.check_call({.id = {}, .name = name, .arguments = arguments})
        .has_value();
  };
  for (const char* choice : {"\"required\"", R"({"type": "function", "function": {"name": "look"}})"}) {
    EXPECT_TRUE(check(choice, "look", R"({"at": "abc"})"));
    EXPECT_FALSE(check(choice, "look", R"({"at": "abcd"})"));
    EXPECT_FALSE(check(choice, "look", R"({"at": "a", "at": "b"})"));
    EXPECT_FALSE(check(choice, "look", R"({"at": )"));
    EXPECT_FALSE(check(choice, "peek", R"({"at": "abc"})"));
  }
  EXPECT_TRUE(check("\"auto\"", "look", R"({"at": "abcd"})")) << "its reader hears of it";
}

TEST(ToolFieldsTest, AStrictToolHasToBeKept) {
  const std::string unique = R"({"type": "array", "items": {"type": "string"}, "uniqueItems": true})";
  const auto tool = [&](bool strict) {
    return R"({"tools": [{"type": "function", "function": {"name": "f", "strict": )" + std::string(strict ? "true" : "false") +
           R"(, "parameters": {"type": "object", "properties": {"a": )" + unique +
           R"(}, "required": ["a"], "additionalProperties": false}}}]})";
  };
  EXPECT_EQ(Read(tool(false)).relaxed_schema, (std::vector<std::string>{"tools[0].function.parameters/properties/a/uniqueItems"}));
  Json body = Json::parse(kAsk);
  body.update(Json::parse(tool(true)));
  const Error error = ErrorOf(Dialect(), body.dump());
  EXPECT_EQ(error.field, "tools[0].function.parameters");
  EXPECT_NE(error.message.find("/properties/a"), std::string::npos) << error.message;
}

TEST(ToolFieldsTest, AConversationHasItsCallsAndResults) {
  const ParsedCall call = Read(R"({"messages": [{"role": "user", "content": "hi"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "index": 0,
        "function": {"name": "look", "arguments": "{\"at\": 1}"}}, {"id": "c2", "type": "function", "function": {"name": "look", "arguments": {"at": 2}}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "seen"}, {"role": "function", "name": "look", "content": [{"type": "text", "text": "more"}]},
      {"role": "assistant", "function_call": {"name": "peek", "arguments": ""}}, {"role": "user", "content": "so?"}]})");
  const auto& messages = ChatOf(call).messages;
  ASSERT_EQ(messages.size(), 6U);
  EXPECT_EQ(messages[1].tool_calls, (std::vector<ChatToolCall>{{"c1", "look", R"({"at": 1})"}, {"c2", "look", R"({"at":2})"}}));
  EXPECT_EQ(messages[2].role, "tool");
  EXPECT_EQ(messages[2].tool_call_id, "c1");
  EXPECT_EQ(messages[3].role, "tool");
  EXPECT_EQ(messages[4].tool_calls, (std::vector<ChatToolCall>{{"", "peek", "{}"}}));
}

TextDelta Calls(std::vector<AnswerPart> parts) {
  TextDelta delta;
  delta.calls = std::move(parts);
  return delta;
}

const AnswerPart kBegin{.kind = AnswerPart::Kind::kToolCall, .text = "{\"a\"", .call = 1, .call_id = "c1", .call_name = "look"};
const AnswerPart kMore{.kind = AnswerPart::Kind::kToolCall, .text = ":1}", .call = 1};

GenerationEnd EndedBy(FinishReason reason) { return {.status = {}, .reason = reason}; }
GenerationEnd Stopped() { return EndedBy(FinishReason::kStop); }

TEST(ToolFieldsTest, AStreamNamesACallOnceAndThenGivesItsArguments) {
  const ParsedCall call = Read(WithTool(R"(, "stream": true)"));
  TextDelta thought;
  thought.reasoning = "hm";
  std::string stream = call.writer->StreamDelta(thought);
  stream += call.writer->StreamDelta({"text", {}});
  stream += call.writer->StreamDelta(Calls({kBegin}));
  stream += call.writer->StreamDelta(Calls({kMore}));
  stream += call.writer->StreamEnd(Stopped());
  const std::vector<Json> frames = Frames(stream);
  ASSERT_EQ(frames.size(), 7U);
  const auto delta = [&](std::size_t i) { return frames[i]["choices"][0]["delta"]; };
  EXPECT_EQ(delta(1), Json::parse(R"({"reasoning_content": "hm"})"));
  EXPECT_EQ(delta(2), Json::parse(R"({"content": "text"})"));
  EXPECT_EQ(delta(3),
            Json::parse(
                R"({"tool_calls": [{"index": 1, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"a\""}}]})"));
  EXPECT_EQ(delta(4), Json::parse(R"({"tool_calls": [{"index": 1, "function": {"arguments": ":1}"}}]})"));
  EXPECT_EQ(frames[5]["choices"][0]["finish_reason"], "tool_calls");
}

TEST(ToolFieldsTest, AWholeAnswerHasItsCalls) {
  TextDelta answer = Calls({kBegin});
  answer.Append(Calls({kMore}));
  const Json tools = Json::parse(Read(WithTool("")).writer->Whole({answer}, Stopped()))["choices"][0];
  EXPECT_EQ(tools["finish_reason"], "tool_calls");
  EXPECT_EQ(tools["message"]["content"], nullptr);
  EXPECT_EQ(tools["message"]["tool_calls"],
            Json::parse(R"([{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}}])"));
  const ParsedCall old = Read(R"({"functions": [{"name": "look"}], "function_call": "auto"})");
  const Json functions = Json::parse(old.writer->Whole({answer}, Stopped()))["choices"][0];
  EXPECT_EQ(functions["finish_reason"], "function_call");
  EXPECT_EQ(functions["message"]["function_call"], Json::parse(R"({"name": "look", "arguments": "{\"a\":1}"})"));
  const Json cut = Json::parse(Read(WithTool("")).writer->Whole({answer}, EndedBy(FinishReason::kLength)))["choices"][0];
  EXPECT_EQ(cut["finish_reason"], "length");
  EXPECT_TRUE(cut["message"].contains("tool_calls"));
}

}  // namespace
}  // namespace cllm
