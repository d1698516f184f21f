#include "api/responses_dialect.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/testing_json.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr const char* kLeastResponse = R"({"input": "hi"})";
constexpr const char* kFlatTool =
    R"({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}})";

// The events of a stream, each checked to be numbered and to be named twice.
std::vector<Json> EventsOf(std::string_view stream, int first) {
  std::vector<Json> events;
  while (!stream.empty()) {
    const auto end = stream.find("\n\n");
    const auto line = stream.find("\ndata: ");
    const Json event = Json::parse(stream.substr(line + 7, end - line - 7));
    EXPECT_EQ(stream.substr(0, line), "event: " + event["type"].get<std::string>());
    EXPECT_EQ(event["sequence_number"], first++);
    events.push_back(event);
    stream.remove_prefix(end + 2);
  }
  return events;
}

std::vector<std::string> TypesOf(const std::vector<Json>& events) {
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"].get<std::string>());
  return types;
}

TextDelta CallPiece(int call, const std::string& name, const std::string& arguments) {
  AnswerPart part{.kind = AnswerPart::Kind::kToolCall, .text = arguments, .call = call, .call_id = {}, .call_name = name};
  if (!name.empty()) part.call_id = "call_" + name;
  TextDelta delta;
  delta.calls = {part};
  return delta;
}

TextDelta TextPiece(const std::string& text) {
  TextDelta delta;
  delta.text = text;
  return delta;
}

TextDelta ThoughtPiece(const std::string& text) {
  TextDelta delta;
  delta.reasoning = text;
  return delta;
}

class ResponsesTest : public testing::Test {
 protected:
  // An answer to `body` that is kept, whole.
  Json Answer(const std::string& body, TextDelta answer, const std::string& owner = "") {
    Result<ParsedCall> call = dialect_.ParseFor(owner, body, {});
    EXPECT_TRUE(call) << (call ? "" : call.error().message);
    return call ? Json::parse(call->writer->Whole({std::move(answer)}, GoodEnd(FinishReason::kStop))) : Json();
  }
  std::vector<ChatMessage> Messages(const std::string& body) {
    return std::get<ChatPrompt>(Parsed(dialect_, body).request.prompt).messages;
  }
  Result<std::string> Ask(Result<std::string> (*what)(const KeptResponseCall&), const std::string& id,
                          std::map<std::string, std::string> query = {}, const std::string& owner = "") {
    return what({.store = *store_, .owner = owner, .id = id, .query = [&](const char* name) { return query[name]; }});
  }

  std::shared_ptr<ResponseStore> store_ = std::make_shared<ResponseStore>(ResponseStoreOptions{});
  ResponsesDialect dialect_{{.id = "toy", .created_unix_s = 1}, {}, store_};
};

TEST_F(ResponsesTest, ItemsBecomeAChat) {
  const auto messages = Messages(R"({"instructions": "be brief", "input": [
    {"role": "developer", "content": "d"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
     "content": [{"type": "output_text", "text": "c", "annotations": [], "logprobs": []}]},
    {"type": "function_call", "call_id": "x", "name": "f", "arguments": "{\"a\": 1}", "status": "completed"},
    {"type": "function_call", "call_id": "y", "name": "g", "arguments": ""},
    {"type": "function_call_output", "call_id": "y", "output": "1"},
    {"type": "function_call_output", "call_id": "x", "output": [{"type": "input_text", "text": "2"}]},
    {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "short"}]},
    {"role": "assistant", "content": "e"}, {"role": "assistant", "content": "f"}, {"role": "user", "content": "g"}]})");
  const std::vector<ChatMessage> expected = {
      {.role = "system", .content = "be brief"},
      {.role = "developer", .content = "d"},
      {.role = "user", .content = "a\nb"},
      {.role = "assistant",
       .content = "c",
       .reasoning_content = "hm",
       .tool_calls = {{.id = "x", .name = "f", .arguments = R"({"a": 1})"}, {.id = "y", .name = "g", .arguments = "{}"}}},
      {.role = "tool", .content = "1", .tool_call_id = "y"},
      {.role = "tool", .content = "2", .tool_call_id = "x"},
      {.role = "assistant", .content = "e", .reasoning_content = "short"},
      {.role = "assistant", .content = "f"},
      {.role = "user", .content = "g"}};
  EXPECT_EQ(messages, expected);
}

TEST_F(ResponsesTest, FieldsArrive) {
  Json body = Json::parse(kLeastResponse);
  body.update(Json::parse(R"({"model": "any", "max_output_tokens": 9, "temperature": 0, "seed": 3, "stop": "x", "top_k": 5, "stream": true,
    "reasoning": {"effort": "low", "summary": "auto"}, "tool_choice": "required", "parallel_tool_calls": true, "user": "u", "n": 1,
    "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}, "verbosity": "medium"},
    "include": ["reasoning.encrypted_content"], "truncation": "disabled", "service_tier": "auto", "top_logprobs": 0,
    "safety_identifier": "s", "prompt_cache_key": "p", "background": false, "stream_options": {"include_obfuscation": false}})"));
  body["tools"] = Json::array({Json::parse(kFlatTool)});
  const ParsedCall call = Parsed(dialect_, body.dump());
  const auto& prompt = std::get<ChatPrompt>(call.request.prompt);
  EXPECT_TRUE(call.stream);
  EXPECT_EQ(call.request.max_tokens, 9);
  EXPECT_EQ(call.request.seed, 3U);
  EXPECT_EQ(call.request.sampling.top_k, 5);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"x"});
  ASSERT_TRUE(call.request.constraint);
  EXPECT_EQ(call.request.constraint->field, "text.format.schema");
  EXPECT_TRUE(prompt.is_constrained && prompt.parallel_tool_calls && prompt.add_generation_prompt);
  EXPECT_EQ(prompt.template_arguments.at("reasoning_effort"), "\"low\"");
  ASSERT_EQ(prompt.tools.size(), 1U);
  EXPECT_EQ(prompt.tools[0].name, "f");
  EXPECT_EQ(prompt.tool_choice.kind, ToolChoice::Kind::kRequired);
  EXPECT_TRUE(call.ignored_fields.empty());
}

TEST_F(ResponsesTest, LogProbabilitiesAreShownWhereTheyAreIncluded) {
  const std::string body = With(With(kLeastResponse, "include", R"(["message.output_text.logprobs"])").c_str(), "top_logprobs", "2");
  EXPECT_EQ(Parsed(dialect_, body).request.sampling.top_logprobs, 2);
  EXPECT_EQ(Parsed(dialect_, kLeastResponse).request.sampling.top_logprobs, kNoLogprobs);
  EXPECT_EQ(ErrorOf(dialect_, With(kLeastResponse, "top_logprobs", "2")).field, "top_logprobs");
  EXPECT_EQ(ErrorOf(dialect_, With(kLeastResponse, "top_logprobs", "21")).field, "top_logprobs");

  TextDelta answer = ThoughtPiece("hm");
  answer.tokens = {{.bytes = "hm", .token = {.token = 1, .logprob = -1, .top = {}}, .top_bytes = {}, .is_content = false}};
  TextDelta text = TextPiece("hé");
  text.tokens = {{.bytes = "h", .token = {.token = 2, .logprob = -2, .top = {{2, -2}, {3, -3}}}, .top_bytes = {"h", "i"}},
                 {.bytes = "é", .token = {.token = 4, .logprob = -4, .top = {}}, .top_bytes = {}},
                 {.bytes = "<end>", .token = {.token = 5, .logprob = -5, .top = {}}, .top_bytes = {}, .in_text = false}};
  const Json expected = Json::parse(R"([
      {"token": "h", "logprob": -2.0, "bytes": [104], "top_logprobs": [{"token": "h", "logprob": -2.0, "bytes": [104]},
                                                                       {"token": "i", "logprob": -3.0, "bytes": [105]}]},
      {"token": "é", "logprob": -4.0, "bytes": [195, 169], "top_logprobs": []}])");
  const ParsedCall streamed = Parsed(dialect_, With(body.c_str(), "stream", "true"));
  std::string stream = streamed.writer->StreamDelta(answer);
  stream += streamed.writer->StreamDelta(text);
  EXPECT_EQ(stream.find("\"token\":\"hm\""), std::string::npos) << "thoughts have none";
  const Json in_events = Json::parse(R"([
      {"token": "h", "logprob": -2.0, "top_logprobs": [{"token": "h", "logprob": -2.0}, {"token": "i", "logprob": -3.0}]},
      {"token": "é", "logprob": -4.0, "top_logprobs": []}])");
  EXPECT_NE(stream.find("\"logprobs\":" + in_events.dump()), std::string::npos) << stream;
  answer.Append(text);
  const Json whole = Answer(body, answer);
  EXPECT_EQ(whole["output"][1]["content"][0]["logprobs"], expected);
  EXPECT_EQ(whole["top_logprobs"], 2);
  EXPECT_EQ(Answer(kLeastResponse, answer)["output"][1]["content"][0]["logprobs"], Json::array());
}

TEST_F(ResponsesTest, AWholeAnswerHasAnItemForEachKind) {
  TextDelta answer = ThoughtPiece("hm");
  answer.Append(TextPiece("hello"));
  answer.Append(CallPiece(0, "f", R"({"a": 1})"));
  const Json body = Answer(With(kLeastResponse, "tools", "[" + std::string(kFlatTool) + "]"), answer);
  EXPECT_EQ(body["status"], "completed");
  ASSERT_EQ(body["output"].size(), 3U);
  EXPECT_EQ(body["output"][0]["type"], "reasoning");
  EXPECT_EQ(body["output"][0]["content"][0]["text"], "hm");
  EXPECT_EQ(body["output"][1]["content"][0]["text"], "hello");
  EXPECT_EQ(body["output"][2]["call_id"], "call_f");
  EXPECT_EQ(body["output"][2]["arguments"], R"({"a": 1})");
  EXPECT_EQ(body["usage"], Json::parse(R"({"input_tokens": 7, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17})"));
  EXPECT_EQ(body["tools"][0]["strict"], false);
  EXPECT_EQ(body["seed"], 42);
  EXPECT_EQ(Answer(kLeastResponse, {})["output"][0]["content"][0]["text"], "") << "a text in any case";
}

TEST_F(ResponsesTest, AStreamTellsOfEachItemAndEndsWithTheWholeAnswer) {
  const ParsedCall call = Parsed(dialect_, With(kLeastResponse, "stream", "true"));
  std::string stream;
  for (const TextDelta& delta : {ThoughtPiece("h"), ThoughtPiece("m"), TextPiece("he"), TextPiece("llo"), CallPiece(0, "f", ""),
                                 CallPiece(0, "", "{}"), CallPiece(1, "g", "{\"a\":"), CallPiece(1, "", "1}")}) {
    stream += call.writer->StreamDelta(delta);
  }
  stream += call.writer->StreamEnd(GoodEnd(FinishReason::kStop));
  const auto events = EventsOf(stream, 0);
  const std::string r = "response.";
  EXPECT_EQ(TypesOf(events), (std::vector<std::string>{r + "created",
                                                       r + "in_progress",
                                                       r + "output_item.added",
                                                       r + "content_part.added",
                                                       r + "reasoning_text.delta",
                                                       r + "reasoning_text.delta",
                                                       r + "reasoning_text.done",
                                                       r + "content_part.done",
                                                       r + "output_item.done",
                                                       r + "output_item.added",
                                                       r + "content_part.added",
                                                       r + "output_text.delta",
                                                       r + "output_text.delta",
                                                       r + "output_text.done",
                                                       r + "content_part.done",
                                                       r + "output_item.done",
                                                       r + "output_item.added",
                                                       r + "function_call_arguments.delta",
                                                       r + "function_call_arguments.done",
                                                       r + "output_item.done",
                                                       r + "output_item.added",
                                                       r + "function_call_arguments.delta",
                                                       r + "function_call_arguments.delta",
                                                       r + "function_call_arguments.done",
                                                       r + "output_item.done",
                                                       r + "completed"}));
  EXPECT_EQ(events[0]["response"]["status"], "in_progress");
  EXPECT_TRUE(events[0]["response"]["output"].empty());
  Json items = Json::array();
  for (const Json& event : events) {
    if (event["type"] != r + "output_item.done") continue;
    EXPECT_EQ(event["output_index"], items.size());
    items.push_back(event["item"]);
  }
  const Json& last = events.back()["response"];
  EXPECT_EQ(last["output"], items);
  EXPECT_EQ(items[3]["arguments"], "{\"a\":1}");
  EXPECT_EQ(Json::parse(*Ask(KeptResponseBody, last["id"])), last);
}

TEST_F(ResponsesTest, AStreamThatBreaksSaysSoAndIsNotKept) {
  const ParsedCall call = Parsed(dialect_, With(kLeastResponse, "stream", "true"));
  std::string stream = call.writer->StreamDelta(TextPiece("he"));
  stream += call.writer->StreamEnd(BadEnd());
  const auto events = EventsOf(stream, 0);
  ASSERT_GE(events.size(), 2U);
  const Json& error = events[events.size() - 2];
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["code"], "timed_out");
  EXPECT_EQ(error["message"], "too late");
  EXPECT_EQ(events.back()["type"], "response.failed");
  EXPECT_EQ(events.back()["response"]["error"], (Json{{"code", "server_error"}, {"message", "too late"}}));
  EXPECT_EQ(events.back()["response"]["output"][0]["status"], "incomplete");
  EXPECT_EQ(store_->size(), 0U);
}

TEST_F(ResponsesTest, WhatIsCutSaysSo) {
  const ParsedCall call = Parsed(dialect_, kLeastResponse);
  const Json body = Json::parse(call.writer->Whole({TextPiece("he")}, GoodEnd(FinishReason::kLength)));
  EXPECT_EQ(body["status"], "incomplete");
  EXPECT_EQ(body["incomplete_details"], (Json{{"reason", "max_output_tokens"}}));
  EXPECT_EQ(body["output"][0]["status"], "incomplete");
}

TEST_F(ResponsesTest, AConversationGoesOnFromWhatIsKept) {
  const std::string first = Answer(R"({"input": "a", "instructions": "be brief"})", TextPiece("b"))["id"];
  const std::string second = Answer(With(R"({"input": "c"})", "previous_response_id", Json(first).dump()), CallPiece(0, "f", "{}"))["id"];
  const std::string third = With(R"({"input": [{"type": "function_call_output", "call_id": "call_f", "output": "d"}]})",
                                 "previous_response_id", Json(second).dump());
  const std::vector<ChatMessage> expected = {{.role = "user", .content = "a"},
                                             {.role = "assistant", .content = "b"},
                                             {.role = "user", .content = "c"},
                                             {.role = "assistant", .tool_calls = {{.id = "call_f", .name = "f", .arguments = "{}"}}},
                                             {.role = "tool", .content = "d", .tool_call_id = "call_f"}};
  EXPECT_EQ(Messages(third), expected) << "instructions are of one request alone";
  EXPECT_GT(Parsed(dialect_, third).held_bytes, Parsed(dialect_, kLeastResponse).held_bytes);
  const Json items = Json::parse(*Ask(InputItemsBody, second, {{"order", "asc"}}));
  ASSERT_EQ(items["data"].size(), 3U);
  EXPECT_EQ(items["data"][1]["content"][0]["text"], "b");
  const Json page = Json::parse(*Ask(InputItemsBody, second, {{"limit", "1"}, {"after", items["data"][2]["id"]}}));
  EXPECT_EQ(page["data"][0], items["data"][1]);
  EXPECT_EQ(page["has_more"], true);
  EXPECT_EQ(page["first_id"], page["last_id"]);
}

TEST_F(ResponsesTest, ACallThatWasCutIsNoPartOfTheConversation) {
  const ParsedCall call = Parsed(dialect_, kLeastResponse);
  const Json cut = Json::parse(call.writer->Whole({CallPiece(0, "f", "{\"a")}, GoodEnd(FinishReason::kLength)));
  EXPECT_EQ(cut["output"][0]["status"], "incomplete");
  EXPECT_EQ(Messages(With(kLeastResponse, "previous_response_id", cut["id"].dump())).size(), 2U);
}

TEST_F(ResponsesTest, NobodyElseFindsWhatIsKept) {
  const std::string id = Answer(kLeastResponse, TextPiece("b"), "one")["id"];
  const std::string body = With(kLeastResponse, "previous_response_id", Json(id).dump());
  EXPECT_TRUE(dialect_.ParseFor("one", body, {}));
  EXPECT_TRUE(Ask(KeptResponseBody, id, {}, "one"));
  for (const char* other : {"", "two"}) {
    const auto call = dialect_.ParseFor(other, body, {});
    ASSERT_FALSE(call);
    EXPECT_EQ(call.error().code, ErrorCode::kPreviousNotFound);
    EXPECT_EQ(call.error().field, "previous_response_id");
    for (auto* ask : {KeptResponseBody, DeletedResponseBody, CancelledResponseBody, InputItemsBody}) {
      EXPECT_EQ(Ask(ask, id, {}, other).error().code, ErrorCode::kNotFound);
    }
  }
  EXPECT_EQ(Ask(CancelledResponseBody, id, {}, "one").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(*Ask(DeletedResponseBody, id, {}, "one"), Dump(Json{{"id", id}, {"object", "response"}, {"deleted", true}}));
  EXPECT_FALSE(Ask(KeptResponseBody, id, {}, "one"));
}

constexpr const char* kSpace = R"({"type": "namespace", "name": "agents", "description": "Other agents.", "tools": [
  {"type": "function", "name": "spawn", "description": "Begins one.", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
  {"type": "function", "name": "f"}]})";

// Codex's, and those of its MCP servers.
TEST_F(ResponsesTest, FunctionsInANamespaceHaveItBeforeTheirNames) {
  Json body = Json::parse(kLeastResponse);
  body["tools"] = Json::array({Json::parse(kFlatTool), Json::parse(kSpace)});
  body["input"] = Json::parse(R"([{"role": "user", "content": "hi"},
    {"type": "function_call", "call_id": "c", "name": "spawn", "namespace": "agents", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "done"}])");
  const ParsedCall call = Parsed(dialect_, body.dump());
  const auto& prompt = std::get<ChatPrompt>(call.request.prompt);
  std::vector<std::string> names;
  for (const ChatTool& tool : prompt.tools) names.push_back(tool.name);
  EXPECT_EQ(names, (std::vector<std::string>{"f", "agents__spawn", "agents__f"}));
  EXPECT_EQ(prompt.tools[1].description, "Other agents.\n\nBegins one.");
  EXPECT_EQ(prompt.messages.at(1).tool_calls.at(0).name, "agents__spawn");

  const Json answer = Answer(body.dump(), CallPiece(0, "agents__spawn", R"({"a": 1})"));
  EXPECT_EQ(answer["tools"][1], body["tools"][1]) << "as it came";
  const Json& item = answer["output"][0];
  EXPECT_EQ(item["name"], "spawn");
  EXPECT_EQ(item["namespace"], "agents");
  EXPECT_FALSE(Answer(body.dump(), CallPiece(0, "f", R"({"a": 1})"))["output"][0].contains("namespace"));
}

TEST_F(ResponsesTest, WrongNamespacesAreNamed) {
  const auto field = [&](const char* change, const char* value) {
    Json space = Json::parse(kSpace);
    space[change] = Json::parse(value);
    return ErrorOf(dialect_, With(kLeastResponse, "tools", Json::array({space}).dump())).field;
  };
  EXPECT_EQ(field("name", R"("a b")"), "tools[0].name");
  EXPECT_EQ(field("tools", "5"), "tools[0].tools");
  EXPECT_EQ(field("tools", "[5]"), "tools[0].tools[0]");
  EXPECT_EQ(field("tools", R"([{"type": "custom", "name": "x"}])"), "tools[0].tools[0].type");
  EXPECT_EQ(field("tools", R"([{"type": "namespace", "name": "x", "tools": []}])"), "tools[0].tools[0].type");
  EXPECT_EQ(field("tools", R"([{"name": "x"}, {"name": "x"}])"), "tools[0].tools[1].name");
}

// Codex offers a search of the web with every request.
TEST_F(ResponsesTest, OffersOfOpenAisServersAreLeftOutBesideFunctions) {
  const std::string search = R"({"type": "web_search", "external_web_access": false})";
  const ParsedCall call = Parsed(dialect_, With(kLeastResponse, "tools", "[" + search + ", " + kFlatTool + "]"));
  EXPECT_EQ(std::get<ChatPrompt>(call.request.prompt).tools.size(), 1U);
  EXPECT_EQ(call.ignored_fields, (std::vector<std::string>{"tools[0]"}));
  // Vercel's AI SDK asks for the sources of each search: there is none.
  const std::string sources = With(kLeastResponse, "include", R"(["web_search_call.action.sources"])");
  EXPECT_TRUE(dialect_.Parse(With(sources.c_str(), "tools", "[" + search + ", " + kFlatTool + "]")));
  // Who offers nothing else wants it.
  EXPECT_EQ(ErrorOf(dialect_, With(kLeastResponse, "tools", "[" + search + "]")).field, "tools[0].type");
  // What is part of the conversation is missed.
  const std::string files = R"([{"type": "file_search", "vector_store_ids": ["v"]}, )" + std::string(kFlatTool) + "]";
  EXPECT_EQ(ErrorOf(dialect_, With(kLeastResponse, "tools", files)).field, "tools[0].type");
}

TEST_F(ResponsesTest, WhatARequestSaysIsCounted) {
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  const auto count = [&](const std::string& body) { return CountInputTokensBody(ToyTextModel(), body, WorkLimits{stop, memory}); };
  const auto tokens = [&](const std::string& body) {
    Result<ChunkedText> counted = count(body);
    EXPECT_TRUE(counted) << counted.error().message;
    return counted ? Json::parse(counted->TakeAll())["input_tokens"].get<int>() : 0;
  };
  EXPECT_GT(tokens(With(kLeastResponse, "instructions", R"("be good")")), tokens(kLeastResponse));
  EXPECT_EQ(count("{}").error().field, "input");
  EXPECT_EQ(count(With(kLeastResponse, "previous_response_id", R"("resp_1")")).error().field, "previous_response_id");
}

TEST_F(ResponsesTest, TheTemplateHearsOfVerbosity) {
  const std::string body = With(kLeastResponse, "text", R"({"verbosity": "low"})");
  EXPECT_EQ(std::get<ChatPrompt>(Parsed(dialect_, body).request.prompt).template_arguments.at("verbosity"), R"("low")");
  EXPECT_EQ(Answer(body, TextPiece("b"))["text"]["verbosity"], "low");
}

TEST_F(ResponsesTest, WhatIsNotToBeKeptIsNot) {
  EXPECT_EQ(Answer(With(kLeastResponse, "store", "false"), TextPiece("b"))["store"], false);
  EXPECT_EQ(store_->size(), 0U);
}

TEST_F(ResponsesTest, WrongFieldsAreNamed) {
  ExpectWrongFields(
      dialect_, kLeastResponse,
      {{"background", "true", "background is not supported"},
       {"conversation", "\"c\"", "conversation is not supported; use previous_response_id instead"},
       {"max_tokens", "5", "max_tokens is not supported; use max_output_tokens instead"},
       {"max_output_token", "5", "unknown field max_output_token: did you mean max_output_tokens?"},
       {"truncation", "\"middle\"", "truncation must be auto or disabled"},
       {"include", "[\"file_search_call.results\"]", "include: \"file_search_call.results\" is not supported"},
       {"input", "[]", "input must be a string or an array of at least one item"},
       {"input", "5", "input must be a string or an array of at most 10000 items"},
       {"instructions", "[]", "instructions must be a string, not an array"},
       {"metadata", R"({"a": 1})", "metadata must be an object of at most 16 names of 64 bytes with strings of at most 512 bytes"}});
  EXPECT_EQ(ErrorOf(dialect_, With(kLeastResponse, "text", R"({"verbosity": "none"})")).field, "text.verbosity");
  const auto field = [&](const char* item) { return ErrorOf(dialect_, With(kLeastResponse, "input", item)).field; };
  EXPECT_EQ(field(R"([5])"), "input[0]");
  EXPECT_EQ(field(R"([{"type": "message", "role": "tool", "content": "x"}])"), "input[0].role");
  EXPECT_EQ(field(R"([{"role": "user"}])"), "input[0].content");
  EXPECT_EQ(field(R"([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}])"), "input[0].content");
  EXPECT_EQ(field(R"([{"type": "item_reference", "id": "x"}])"), "input[0].type");
  EXPECT_EQ(field(R"([{"type": "reasoning", "summary": 5}])"), "input[0].summary");
  EXPECT_EQ(field(R"([{"type": "reasoning", "summary": [{"text": 5}]}])"), "input[0].summary[].text");
  EXPECT_EQ(field(R"([{"type": "function_call", "name": "f"}])"), "input[0].call_id");
  EXPECT_EQ(field(R"([{"type": "function_call", "call_id": "c", "name": ""}])"), "input[0].name");
  EXPECT_EQ(field(R"([{"type": "function_call_output", "call_id": "c", "output": "x"}])"), "input[0].call_id");
  EXPECT_EQ(field(R"([{"type": "function_call", "call_id": "c", "name": "f"}, {"type": "function_call_output", "call_id": "c"}])"),
            "input[1].output");
}

TEST_F(ResponsesTest, AConversationIsBoundedWhereverItsItemsStand) {
  Json many = Json::array();
  for (int i = 0; i < 9'999; ++i) many.push_back({{"role", "user"}, {"content", "x"}});
  const std::string id = Answer(Json{{"input", many}}.dump(), TextPiece("b"))["id"];
  const Error error = ErrorOf(dialect_, With(kLeastResponse, "previous_response_id", Json(id).dump()));
  EXPECT_EQ(error.field, "input");
  EXPECT_NE(error.message.find("10000 items"), std::string::npos);
}

}  // namespace
}  // namespace cllm
