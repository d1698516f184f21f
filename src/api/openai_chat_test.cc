#include "api/openai_chat.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr const char* kLeastChat = R"({"messages": [{"role": "user", "content": "hi"}]})";

const OpenAiChatDialect& Chat() {
  static const OpenAiChatDialect dialect({.id = "toy", .created_unix_s = 1});
  return dialect;
}

std::string WithMessage(const std::string& message) { return R"({"messages": [{"role": "user", "content": "hi"}, )" + message + "]}"; }

TEST(OpenAiChatTest, TimesAndProgressAreShownAsLlamaServerDoes) {
  const ParsedCall call = Parsed(Chat(), With(With(kLeastChat, "stream", "true").c_str(), "timings_per_token", "true"));
  EXPECT_FALSE(call.request.wants_prompt_progress);
  const ParsedCall both = Parsed(Chat(), R"({"messages": [{"role": "user", "content": "x"}], "stream": true, "return_progress": true,
    "timings_per_token": true, "stream_options": {"include_usage": true}})");
  EXPECT_TRUE(both.request.wants_prompt_progress);
  const TextDelta progress{.text = {}, .counts = {.prompt = 5}, .times = {.prompt_s = 0.25}, .prompt_computed = 4};
  const auto first = Frames(both.writer->StreamDelta(progress));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_FALSE(first[0].contains("timings")) << "the role comes first";
  EXPECT_EQ(first[1]["prompt_progress"]["processed"], 4);
  EXPECT_EQ(first[1]["choices"][0]["delta"]["content"], "");
  GenerationEnd end = GoodEnd(FinishReason::kStop);
  end.generation_time_s = 2;
  const auto last = Frames(both.writer->StreamEnd(end));
  ASSERT_EQ(last.size(), 3U) << "of the choice, of the usage, and [DONE]";
  for (const int frame : {0, 1}) EXPECT_EQ(last.at(frame)["timings"]["predicted_ms"], 2000);
  const ParsedCall whole = Parsed(Chat(), With(kLeastChat, "timings_per_token", "true"));
  EXPECT_TRUE(Json::parse(whole.writer->Whole({{"a", {}}}, end)).contains("timings"));
  EXPECT_FALSE(Json::parse(Parsed(Chat(), kLeastChat).writer->Whole({{"a", {}}}, end)).contains("timings"));
}

TEST(OpenAiChatTest, MessagesBecomeAChat) {
  const ParsedCall call = Parsed(Chat(), R"({"model": "any", "messages": [
    {"role": "developer", "content": "be brief"},
    {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": "c", "refusal": null, "tool_calls": []},
    {"role": "system", "content": ""}]})");
  const auto& chat = std::get<ChatPrompt>(call.request.prompt);
  ASSERT_EQ(chat.messages.size(), 4U);
  EXPECT_EQ(chat.messages[0].role, "developer");
  EXPECT_EQ(chat.messages[0].content, "be brief");
  EXPECT_EQ(chat.messages[1].role, "user");
  EXPECT_EQ(chat.messages[1].content, "a\nb") << "as llama-server joins parts";
  EXPECT_EQ(chat.messages[1].name, "Ann");
  EXPECT_EQ(chat.messages[2].role, "assistant");
  EXPECT_EQ(chat.messages[3].content, "");
  EXPECT_FALSE(call.stream);
  EXPECT_FALSE(call.request.max_tokens);
  EXPECT_FALSE(call.request.default_max_tokens) << "a chat answer may use all the room there is";
  EXPECT_EQ(call.request.sampling.top_logprobs, kNoLogprobs);
}

TEST(OpenAiChatTest, FieldsArrive) {
  for (const char* name : {"max_tokens", "max_completion_tokens", "n_predict"}) {
    EXPECT_EQ(Parsed(Chat(), With(kLeastChat, name, "9")).request.max_tokens, 9) << name;
  }
  Json body = Json::parse(kLeastChat);
  body.update(Json::parse(R"({"temperature": 0, "seed": 3, "stop": "x", "ignore_eos": true, "logprobs": true,
    "top_logprobs": 20, "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
    "chat_template_kwargs": {"enable_thinking": false, "style": "x"}, "n": 1, "tools": [], "tool_choice": "none",
    "response_format": {"type": "text"}, "user": "u", "metadata": {"a": 1}, "store": true, "parallel_tool_calls": true})"));
  const ParsedCall call = Parsed(Chat(), body.dump());
  EXPECT_EQ(call.request.sampling.temperature, 0.0);
  EXPECT_EQ(call.request.seed, 3U);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"x"});
  EXPECT_TRUE(call.request.ignore_eos);
  EXPECT_EQ(call.request.sampling.top_logprobs, 20);
  EXPECT_TRUE(call.stream);
  const auto& arguments = std::get<ChatPrompt>(call.request.prompt).template_arguments;
  EXPECT_EQ(arguments.at("enable_thinking"), "false");
  EXPECT_EQ(arguments.at("style"), "\"x\"");
  EXPECT_EQ(Parsed(Chat(), With(kLeastChat, "logprobs", "true")).request.sampling.top_logprobs, 0);
  EXPECT_EQ(Parsed(Chat(), With(kLeastChat, "logprobs", "false")).request.sampling.top_logprobs, kNoLogprobs);
}

TEST(OpenAiChatTest, WrongMessagesAreNamed) {
  const char* list = "messages must be an array of 1 to 10000 messages";
  EXPECT_EQ(ErrorOf(Chat(), "{}"), (Error{ErrorCode::kInvalidArgument, list, "messages"}));
  ExpectWrongFields(Chat(), kLeastChat, {{"messages", "[]", list}, {"messages", "\"hi\"", list}, {"messages", "{}", list}});
  const std::string role = "messages[1].role must be system, developer, user, assistant or tool";
  const std::string content = "messages[1].content must be a string or an array of text parts";
  const std::string type = "messages[1].content[0].type must be text, input_text, output_text, refusal or thinking, not ";
  struct Case {
    const char* message;
    std::string text;
    const char* field;
  };
  for (const auto& [message, text, field] :
       {Case{"5", "messages[1] must be an object", "messages[1]"},
        {R"({"content": "x"})", role, "messages[1].role"},
        {R"({"role": "tool"})", content, "messages[1].content"},
        {R"({"role": 5, "content": "x"})", "messages[1].role must be a string, not 5", "messages[1].role"},
        {R"({"role": "user"})", content, "messages[1].content"},
        {R"({"role": "user", "content": null})", content, "messages[1].content"},
        {R"({"role": "user", "content": 5})", content, "messages[1].content"},
        {R"({"role": "user", "content": [{"type": "image_url"}]})", type + "\"image_url\"", "messages[1].content"},
        {R"({"role": "user", "content": [{"type": "text"}]})", "messages[1].content[0] has no text", "messages[1].content"},
        {R"({"role": "user", "content": [{"type": 1, "text": "x"}]})", type + "\"\"", "messages[1].content"},
        {R"({"role": "user", "content": ["x"]})", "messages[1].content[0] must be an object", "messages[1].content"},
        {R"({"role": "user", "content": "x", "names": 1})", "unknown field messages[1].names: did you mean name?", "messages[1].names"},
        {R"({"role": "user", "content": "x", "tool_calls": [{}]})", "messages[1].tool_calls is not supported", "messages[1].tool_calls"},
        {R"({"role": "assistant", "content": "x", "tool_calls": [{}]})", "messages[1].tool_calls[0].function is missing",
         "messages[1].tool_calls[0].function"}}) {
    EXPECT_EQ(ErrorOf(Chat(), WithMessage(message)), (Error{ErrorCode::kInvalidArgument, text, field})) << message;
  }
}

TEST(OpenAiChatTest, WrongFieldsAreNamed) {
  ExpectWrongFields(
      Chat(), kLeastChat,
      {{"max_tokens", "0", "max_tokens must be at least 1, or -1 for as many as the context has room for, not 0"},
       {"max_completion_tokens", "-2", "max_completion_tokens must be an integer from -1 to 4294967295, not -2"},
       {"temperature", "3", "temperature must be a number from 0 to 2, not 3"},
       {"model", "5", "model must be a string, not 5"},
       {"logprobs", "1", "logprobs must be true or false, not 1"},
       {"top_logprobs", "1", "top_logprobs needs logprobs to be true"},
       {"top_logprobs", "21", "top_logprobs must be an integer from 0 to 20, not 21"},
       {"n", "0", "n must be an integer from 1 to 128, not 0"},
       {"tool_choice", "\"required\"", "tool_choice is required, but there are no tools"},
       {"tool_choice", "\"sometimes\"", "tool_choice must be none, auto, required or an object that names a function"},
       {"tools", "5", "tools must be an array of at most 512 tools"},
       {"response_format", R"({"type": "yaml"})", "response_format.type must be text, json_object or json_schema, not \"yaml\""},
       {"response_format", "{}", "response_format.type must be text, json_object or json_schema, not \"\""},
       {"response_format", "\"text\"", "response_format must be an object"},
       {"stream_options", "5", "stream_options must be an object"},
       {"chat_template_kwargs", "[]", "chat_template_kwargs must be an object"},
       {"prompt", "\"x\"", "prompt is not supported; use messages, or /v1/completions instead"}});
  Json body = Json::parse(kLeastChat);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", 1}};
  EXPECT_EQ(ErrorOf(Chat(), body.dump()).message, "stream_options.include_usage must be true or false, not 1");
  body["stream_options"] = {{"include_usages", true}};
  EXPECT_EQ(ErrorOf(Chat(), body.dump()).message, "unknown field stream_options.include_usages: did you mean include_usage?");
}

// Everything of a chunk but what differs in each run.
Json Stripped(Json chunk) {
  EXPECT_TRUE(chunk["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_GT(chunk["created"].get<std::int64_t>(), 1'700'000'000);
  chunk.erase("id");
  chunk.erase("created");
  return chunk;
}

TEST(OpenAiChatTest, TwoNamesOfOneFieldMayNotContradict) {
  const OpenAiChatDialect dialect({.id = "m", .created_unix_s = 1});
  const std::string start = R"({"messages": [{"role": "user", "content": "x"}], )";
  EXPECT_TRUE(dialect.Parse(start + R"("max_tokens": 5, "max_completion_tokens": 5})"));
  EXPECT_EQ(ErrorOf(dialect, start + R"("max_tokens": 5, "max_completion_tokens": 6})").field, "max_tokens");
  EXPECT_EQ(ErrorOf(dialect, start + R"("repetition_penalty": 1.1, "repeat_penalty": 1.2})").field, "repeat_penalty");
}

TEST(OpenAiChatTest, TheStreamsChunks) {
  const ParsedCall call = Parsed(Chat(), With(kLeastChat, "stream", "true"));
  std::string stream = call.writer->StreamDelta({"a", {}});
  stream += call.writer->StreamDelta({"b", {}});
  stream += call.writer->StreamEnd(GoodEnd());
  const std::vector<Json> frames = Frames(stream);
  ASSERT_EQ(frames.size(), 5U);
  const auto chunk = [](const char* delta, const char* reason) {
    return Json::parse(std::string(R"({"object":"chat.completion.chunk","model":"toy","choices":[{"index":0,"delta":)") + delta +
                       R"(,"logprobs":null,"finish_reason":)" + reason + "}]}");
  };
  EXPECT_EQ(Stripped(frames[0]), chunk(R"({"role":"assistant","content":""})", "null"));
  EXPECT_EQ(Stripped(frames[1]), chunk(R"({"content":"a"})", "null"));
  EXPECT_EQ(Stripped(frames[2]), chunk(R"({"content":"b"})", "null"));
  EXPECT_EQ(Stripped(frames[3]), chunk("{}", "\"length\""));
  EXPECT_EQ(frames[4], "[DONE]");
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(frames[i]["id"], frames[0]["id"]);
    EXPECT_EQ(frames[i]["created"], frames[0]["created"]);
  }
}

TEST(OpenAiChatTest, AnEmptyStreamStillOpensWithTheRole) {
  const std::vector<Json> frames =
      Frames(Parsed(Chat(), With(kLeastChat, "stream", "true")).writer->StreamEnd(GoodEnd(FinishReason::kStop)));
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(frames[1]["choices"][0]["finish_reason"], "stop");
}

TEST(OpenAiChatTest, UsageIsAChunkOfItsOwnAndNullBefore) {
  Json body = Json::parse(kLeastChat);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const ParsedCall call = Parsed(Chat(), body.dump());
  std::string stream = call.writer->StreamDelta({"a", {}});
  stream += call.writer->StreamEnd(GoodEnd());
  const std::vector<Json> frames = Frames(stream);
  ASSERT_EQ(frames.size(), 5U);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(frames[i].contains("usage") && frames[i]["usage"].is_null()) << i;
  EXPECT_EQ(frames[3]["choices"], Json::array());
  EXPECT_EQ(
      frames[3]["usage"],
      Json::parse(
          R"({"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}})"));
  EXPECT_EQ(frames[4], "[DONE]");
}

TEST(OpenAiChatTest, AnErrorIsTheLastFrameWithoutDone) {
  const ParsedCall call = Parsed(Chat(), With(kLeastChat, "stream", "true"));
  call.writer->StreamDelta({"a", {}});
  EXPECT_EQ(call.writer->StreamEnd(BadEnd()),
            "data: {\"error\":{\"message\":\"too late\",\"type\":\"timeout_error\",\"param\":null,\"code\":\"timed_out\"}}\n\n");
}

TEST(OpenAiChatTest, TheWholeAnswer) {
  const Json body = Json::parse(Parsed(Chat(), kLeastChat).writer->Whole({{"text", {}}}, GoodEnd(FinishReason::kStop)));
  EXPECT_EQ(Stripped(body), Json::parse(R"({"object":"chat.completion","model":"toy","choices":[{"index":0,
    "message":{"role":"assistant","content":"text","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}},"seed":42})"));
}

TEST(OpenAiChatTest, EachAnswerOpensAndEndsForItself) {
  GenerationEnd end = GoodEnd();
  end.each = {{.status = {}, .reason = FinishReason::kLength}, {.status = {}, .reason = FinishReason::kStop}};
  const ParsedCall call = Parsed(Chat(), With(kLeastChat, "n", "2"));
  EXPECT_EQ(call.choices, 2);
  const auto first = Frames(call.writer->StreamDelta({"x", {}, 1}));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(first[0]["choices"][0]["index"], 1);
  EXPECT_EQ(first[1]["choices"][0]["delta"]["content"], "x");
  EXPECT_EQ(Frames(call.writer->StreamDelta({"y", {}, 1})).size(), 1U);
  const auto last = Frames(call.writer->StreamEnd(end));
  ASSERT_EQ(last.size(), 4U) << "the one without text opens now; two ends; [DONE]";
  EXPECT_EQ(last[0]["choices"][0]["index"], 0);
  EXPECT_EQ(last[1]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(last[2]["choices"][0]["index"], 1);
  EXPECT_EQ(last[2]["choices"][0]["finish_reason"], "stop");
  const Json body = Json::parse(Parsed(Chat(), kLeastChat).writer->Whole({{"a", {}, 0}, {"b", {}, 1}}, end));
  EXPECT_EQ(body["choices"][1]["message"]["content"], "b");
  EXPECT_EQ(body["choices"][1]["finish_reason"], "stop");
}

TEST(OpenAiChatTest, LogprobsOfEachToken) {
  const ParsedCall call = Parsed(Chat(), With(With(kLeastChat, "logprobs", "true").c_str(), "top_logprobs", "1"));
  TextDelta delta{"é", {}};
  delta.tokens.resize(2);
  delta.tokens[0].bytes = "\xC3";
  delta.tokens[0].token = {.token = 1, .logprob = -0.5F, .top = {{2, -0.25F}}};
  delta.tokens[0].top_bytes = {"x"};
  delta.tokens[1].bytes = "\xA9";
  delta.tokens[1].token = {.token = 3, .logprob = -1.5F, .top = {}};
  const Json expected = Json::parse(R"({"content":[
    {"token":"\ufffd","logprob":-0.5,"bytes":[195],"top_logprobs":[{"token":"x","logprob":-0.25,"bytes":[120]}]},
    {"token":"\ufffd","logprob":-1.5,"bytes":[169],"top_logprobs":[]}],"refusal":null})");
  EXPECT_EQ(Json::parse(call.writer->Whole(std::vector<TextDelta>(1, delta), GoodEnd()))["choices"][0]["logprobs"], expected);
  EXPECT_EQ(Frames(call.writer->StreamDelta(delta)).at(1)["choices"][0]["logprobs"], expected);
}

ChatPrompt PromptOf(const std::string& body) { return std::get<ChatPrompt>(Parsed(Chat(), body).request.prompt); }

// openai-python's message.model_dump(), sent back as history; and what other servers' messages hold.
TEST(OpenAiChatTest, ThePromptsLogprobsStandBesideTheChoices) {
  const ParsedCall call = Parsed(Chat(), With(kLeastChat, "prompt_logprobs", "1"));
  EXPECT_EQ(call.request.prompt_logprobs, 1);
  EXPECT_EQ(call.request.sampling.top_logprobs, kNoLogprobs);
  TextDelta answer{.text = "b", .tokens = {}};
  answer.prompt = {{.text = {.bytes = "<s>", .token = {1, 0, {}}, .top_bytes = {}}},
                   {.text = {.bytes = "a", .token = {2, -3.0F, {{9, -1.0F}}}, .top_bytes = {"z"}}, .rank = 4}};
  const Json body = Json::parse(call.writer->Whole({answer}, GoodEnd()));
  EXPECT_EQ(body["prompt_logprobs"], (Json{nullptr,
                                           {{"2", {{"logprob", -3.0}, {"rank", 4}, {"decoded_token", "a"}}},
                                            {"9", {{"logprob", -1.0}, {"rank", 1}, {"decoded_token", "z"}}}}}));
  EXPECT_TRUE(body["choices"][0]["logprobs"].is_null());
  EXPECT_FALSE(Json::parse(Parsed(Chat(), kLeastChat).writer->Whole({answer}, GoodEnd())).contains("prompt_logprobs"));
  EXPECT_EQ(ErrorOf(Chat(), With(With(kLeastChat, "prompt_logprobs", "1").c_str(), "stream", "true")).field, "prompt_logprobs");
}

TEST(OpenAiChatTest, AMessageOfAnAnswerIsHistory) {
  const ChatPrompt chat = PromptOf(WithMessage(R"({"content": "c", "refusal": null, "role": "assistant", "annotations": [], "audio": null,
    "function_call": null, "tool_calls": null, "reasoning_content": "hm", "reasoning": "hm", "id": "msg_1", "name": "bot",
    "cache_control": {"type": "ephemeral"}, "provider_specific_fields": {"x": 1}}, {"role": "user", "content": "go on"})"));
  ASSERT_EQ(chat.messages.size(), 3U);
  EXPECT_EQ(chat.messages[1].content, "c");
  EXPECT_EQ(chat.messages[1].reasoning_content, "hm");
  EXPECT_EQ(chat.messages[1].name, "bot");
  EXPECT_TRUE(chat.add_generation_prompt);
  const auto content = [](const char* message) { return PromptOf(WithMessage(message)).messages[1].content; };
  EXPECT_EQ(content(R"({"role": "assistant", "content": null})"), "");
  EXPECT_EQ(content(R"({"role": "assistant"})"), "");
  EXPECT_EQ(content(R"({"role": "assistant", "content": null, "refusal": "no"})"), "no");
  EXPECT_EQ(content(R"({"role": "user", "content": []})"), "");
  EXPECT_EQ(content(R"({"role": "user", "content": [{"type": "input_text", "text": "a", "cache_control": {}},
                        {"type": "output_text", "text": "b", "annotations": []}, {"type": "refusal", "refusal": "c"}]})"),
            "a\nb\nc");
  const ChatPrompt thought = PromptOf(WithMessage(
      R"({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}]})"));
  EXPECT_EQ(thought.messages[1].content, "a");
  EXPECT_EQ(thought.messages[1].reasoning_content, "hm");
  const auto field = [](const char* message) { return ErrorOf(Chat(), WithMessage(message)).field; };
  EXPECT_EQ(field(R"({"role": "assistant", "content": "c", "audio": {"id": "a"}})"), "messages[1].audio");
  EXPECT_EQ(field(R"({"role": "user", "content": "c", "function_call": {"name": "f"}})"), "messages[1].function_call");
  EXPECT_EQ(field(R"({"role": "assistant", "content": "c", "reasoning": "a", "reasoning_content": "b"})"), "messages[1].reasoning");
}

TEST(OpenAiChatTest, UnknownFieldsOfMessagesAreNamedByTheirPath) {
  const ParsedCall call = Parsed(Chat(), R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "made": 1}], "up": 2}],
    "metadata": {"deep": null, "made_up": 1}, "chat_template_kwargs": {"made_up": null}})");
  EXPECT_EQ(call.ignored_fields, (std::vector<std::string>{"messages[0].content[0].made", "messages[0].up"}));
  EXPECT_EQ(std::get<ChatPrompt>(call.request.prompt).template_arguments.at("made_up"), "null") << "data is left as it is";
}

TEST(OpenAiChatTest, ThoughtsHaveABudgetUnderManyNames) {
  const auto budget = [](const char* name, const char* value) { return PromptOf(With(kLeastChat, name, value)).reasoning_budget; };
  for (const char* name :
       {"reasoning_budget", "reasoning_budget_tokens", "thinking_budget_tokens", "thinking_token_budget", "thinking_budget"}) {
    EXPECT_EQ(budget(name, "7"), 7) << name;
    EXPECT_EQ(budget(name, "0"), 0) << name;
    EXPECT_EQ(budget(name, "-1"), std::nullopt) << name;
    EXPECT_EQ(budget(name, "null"), std::nullopt) << name;
    EXPECT_EQ(budget(name, "4294967295"), std::numeric_limits<int>::max()) << name;
    for (const char* wrong : {"-2", "1.5", "\"5\"", "true", "[]"}) {
      EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, name, wrong)).field, name) << wrong;
    }
  }
  EXPECT_EQ(budget("reasoning", R"({"max_tokens": 9})"), 9);
  EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, "reasoning", R"({"max_tokens": "9"})")).field, "reasoning.max_tokens");
  EXPECT_EQ(budget("thinking", R"({"type": "enabled", "budget_tokens": 5})"), 5);
  EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, "thinking", R"({"type": "enabled", "budget_tokens": {}})")).field, "thinking.budget_tokens");
  EXPECT_EQ(ErrorOf(Chat(), With(With(kLeastChat, "thinking_budget", "3").c_str(), "reasoning_budget", "4")).field, "thinking_budget");
  EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, "reasoning_budget_message", "\"Enough.\"")).field, "reasoning_budget_message");
}

TEST(OpenAiChatTest, TheTextAsItCameIsShownToWhoAsks) {
  const ParsedCall call = Parsed(Chat(), With(kLeastChat, "return_raw", "true"));
  EXPECT_TRUE(call.request.wants_raw);
  TextDelta one{.text = "a"};
  one.raw = "<think>";
  TextDelta other{.text = "b"};
  other.raw = "x</think>ab";
  std::string stream = call.writer->StreamDelta(one);
  stream += call.writer->StreamDelta(other);
  stream += call.writer->StreamEnd(GoodEnd());
  const std::vector<Json> frames = Frames(stream);
  EXPECT_EQ(frames[frames.size() - 2]["choices"][0]["raw_text"], "<think>x</think>ab") << "in the last chunk of the choice";
  for (std::size_t i = 0; i + 2 < frames.size(); ++i) EXPECT_FALSE(frames[i]["choices"][0].contains("raw_text")) << i;
  one.Append(other);
  const Json whole = Json::parse(Parsed(Chat(), With(kLeastChat, "return_raw", "true")).writer->Whole({one}, GoodEnd()));
  EXPECT_EQ(whole["choices"][0]["raw_text"], "<think>x</think>ab");
  EXPECT_FALSE(Json::parse(Parsed(Chat(), kLeastChat).writer->Whole({one}, GoodEnd()))["choices"][0].contains("raw_text"));
}

TEST(OpenAiChatTest, ThoughtsStayAwayFromWhoExcludesThem) {
  TextDelta answer{.text = "a"};
  answer.reasoning = "hm";
  const auto shows_thoughts = [&](const char* name, const char* value) {
    const std::string body = With(kLeastChat, name, value);
    const Json whole = Json::parse(Parsed(Chat(), body).writer->Whole({answer}, GoodEnd()));
    const bool is_shown = whole["choices"][0]["message"].contains("reasoning_content");
    EXPECT_EQ(Parsed(Chat(), body).writer->StreamDelta(answer).contains("reasoning_content"), is_shown) << name;
    return is_shown;
  };
  EXPECT_TRUE(shows_thoughts("reasoning", R"({"exclude": false})"));
  EXPECT_FALSE(shows_thoughts("reasoning", R"({"exclude": true})"));
  EXPECT_TRUE(shows_thoughts("reasoning_format", "\"parsed\""));
  EXPECT_FALSE(shows_thoughts("reasoning_format", "\"hidden\""));
  EXPECT_FALSE(shows_thoughts("include_reasoning", "false"));
}

TEST(OpenAiChatTest, TheTemplateIsToldOfThinking) {
  const auto arguments = [](const char* name, const char* value) { return PromptOf(With(kLeastChat, name, value)).template_arguments; };
  using Arguments = std::map<std::string, std::string>;
  EXPECT_EQ(arguments("reasoning_effort", "\"low\""), (Arguments{{"reasoning_effort", "\"low\""}}));
  EXPECT_EQ(arguments("reasoning_effort", "\"none\""), (Arguments{{"enable_thinking", "false"}}));
  EXPECT_EQ(arguments("reasoning_effort", "null"), Arguments{});
  EXPECT_EQ(arguments("enable_thinking", "false"), (Arguments{{"enable_thinking", "false"}}));
  EXPECT_EQ(arguments("verbosity", "\"low\""), (Arguments{{"verbosity", "\"low\""}}));
  EXPECT_EQ(arguments("reasoning", R"({"effort": "high", "enabled": true})"),
            (Arguments{{"enable_thinking", "true"}, {"reasoning_effort", "\"high\""}}));
  EXPECT_EQ(arguments("thinking", R"({"type": "disabled"})"), (Arguments{{"enable_thinking", "false"}}));
  EXPECT_EQ(arguments("thinking", R"({"type": "enabled", "budget_tokens": 5})"), (Arguments{{"enable_thinking", "true"}}));
  EXPECT_EQ(
      ErrorOf(Chat(), With(With(kLeastChat, "enable_thinking", "true").c_str(), "chat_template_kwargs", R"({"enable_thinking": false})")),
      (Error{ErrorCode::kInvalidArgument, "enable_thinking contradicts enable_thinking of another field", "enable_thinking"}));
  EXPECT_TRUE(
      Chat().Parse(With(With(kLeastChat, "enable_thinking", "true").c_str(), "chat_template_kwargs", R"({"enable_thinking": true})")));
}

TEST(OpenAiChatTest, AConversationMayEndWithTheBeginningOfTheAnswer) {
  struct Case {
    const char* fields;
    bool goes_on;
    bool begins;
  };
  const std::string start = R"({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y")";
  for (const auto& [fields, goes_on, begins] : {Case{"}]}", true, false},
                                                {R"(}], "continue_final_message": true})", true, false},
                                                {R"(}], "continue_final_message": true, "add_generation_prompt": false})", true, false},
                                                {R"(}], "add_generation_prompt": true})", false, true},
                                                {R"(}], "add_generation_prompt": false})", false, false},
                                                {R"(}], "continue_final_message": false})", false, true},
                                                {R"(, "prefix": true}]})", true, false},
                                                {R"(, "partial": true}], "add_generation_prompt": false})", true, false}}) {
    const ChatPrompt prompt = PromptOf(start + fields);
    EXPECT_EQ(prompt.continue_final_message, goes_on) << fields;
    EXPECT_EQ(prompt.add_generation_prompt, begins) << fields;
  }
  EXPECT_EQ(ErrorOf(Chat(), start + R"(}], "continue_final_message": true, "add_generation_prompt": true})").field,
            "continue_final_message");
  EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, "continue_final_message", "true")).field, "continue_final_message");
  EXPECT_EQ(ErrorOf(Chat(), start + R"(, "prefix": true}, {"role": "user", "content": "z"}]})").field, "messages[1].prefix");
}

TEST(OpenAiChatTest, OptionsThatAskForNothingAreLetIn) {
  for (const char* options : {"{}", "null", R"({"include_usage": true})"}) Parsed(Chat(), With(kLeastChat, "stream_options", options));
  EXPECT_EQ(Parsed(Chat(), With(kLeastChat, "top_logprobs", "0")).request.sampling.top_logprobs, kNoLogprobs);
  Parsed(Chat(),
         With(kLeastChat, "samplers", R"(["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"])"));
  Parsed(Chat(), With(kLeastChat, "samplers", "\"edskypmxt\""));
  for (const char* other : {R"(["top_k"])", "\"kt\"", "[5]", "7", R"(["temperature", "penalties", "top_k", "top_p", "min_p"])"}) {
    EXPECT_EQ(ErrorOf(Chat(), With(kLeastChat, "samplers", other)).field, "samplers") << other;
  }
}

}  // namespace
}  // namespace cllm
