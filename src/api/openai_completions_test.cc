#include "api/openai_completions.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr const char* kLeastCompletion = R"({"prompt": "hi"})";

const OpenAiCompletionsDialect& Completions() {
  static const OpenAiCompletionsDialect dialect({.id = "toy", .created_unix_s = 1});
  return dialect;
}

Prompt PromptOf(const char* value) { return Parsed(Completions(), With(kLeastCompletion, "prompt", value)).request.prompt; }

TEST(OpenAiCompletionsTest, APromptIsTextOrTokensOrAListOfOneOfThem) {
  const std::vector<TokenId> tokens{1, 2};
  EXPECT_EQ(std::get<std::string>(PromptOf("\"a\"")), "a");
  EXPECT_EQ(std::get<std::string>(PromptOf("[\"a\"]")), "a");
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[1, 2]")), tokens);
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[[1, 2]]")), tokens);
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[7]")), std::vector<TokenId>{7});
}

TEST(OpenAiCompletionsTest, FieldsArrive) {
  const ParsedCall least = Parsed(Completions(), kLeastCompletion);
  EXPECT_FALSE(least.request.max_tokens);
  EXPECT_EQ(least.request.default_max_tokens, 16) << "OpenAI's default here";
  EXPECT_EQ(least.request.sampling.top_logprobs, kNoLogprobs);
  for (const char* name : {"max_tokens", "max_completion_tokens", "n_predict"}) {
    EXPECT_EQ(Parsed(Completions(), With(kLeastCompletion, name, "9")).request.max_tokens, 9) << name;
  }
  for (const char* n : {"0", "20"}) {
    EXPECT_EQ(Parsed(Completions(), With(kLeastCompletion, "logprobs", n)).request.sampling.top_logprobs, std::stoi(n));
  }
  const ParsedCall call = Parsed(Completions(), R"({"model": "m", "prompt": "x", "stream": true, "best_of": 1, "echo": false,
    "suffix": "", "seed": 4, "stop": ["a"], "user": "u", "cache_prompt": true})");
  EXPECT_TRUE(call.stream);
  EXPECT_EQ(call.request.seed, 4U);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"a"});
}

TEST(OpenAiCompletionsTest, ASuffixMakesAGap) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": ["a", "b"], "suffix": "z", "add_special_tokens": false})");
  const auto& first = std::get<GapPrompt>(call.request.prompt);
  EXPECT_EQ(first.prefix + "|" + first.suffix + "|" + first.middle, "a|z|");
  EXPECT_FALSE(first.add_special_tokens);
  ASSERT_EQ(call.further_prompts.size(), 1U);
  EXPECT_EQ(std::get<GapPrompt>(call.further_prompts[0]).prefix, "b");
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": [1, 2], "suffix": "z"})"),
            (Error{ErrorCode::kInvalidArgument, "suffix needs a prompt that is a text", "suffix"}));
}

TEST(OpenAiCompletionsTest, SettingsHoldWhereTheRequestSaysNothing) {
  const OpenAiCompletionsDialect dialect({.id = "toy"}, {.sampling = {.temperature = 0.25, .top_k = 3, .top_p = 0.5}, .max_tokens = 9});
  const ParsedCall least = Parsed(dialect, kLeastCompletion);
  EXPECT_EQ(least.request.default_max_tokens, 9);
  EXPECT_EQ(least.request.sampling.temperature, 0.25);
  EXPECT_EQ(least.request.sampling.top_k, 3);
  EXPECT_EQ(least.request.sampling.top_p, 0.5);
  EXPECT_EQ(Parsed(dialect, With(kLeastCompletion, "temperature", "2")).request.sampling.temperature, 2.0);
}

TEST(OpenAiCompletionsTest, SeveralPromptsAndSeveralAnswers) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": ["a", [1, 2], "c"], "n": 2, "best_of": 2})");
  EXPECT_EQ(std::get<std::string>(call.request.prompt), "a");
  ASSERT_EQ(call.further_prompts.size(), 2U);
  EXPECT_EQ(std::get<std::vector<TokenId>>(call.further_prompts[0]), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(std::get<std::string>(call.further_prompts[1]), "c");
  EXPECT_EQ(call.choices, 2);
  Json many = Json::parse(kLeastCompletion);
  many["prompt"] = std::vector<std::string>(65, "x");
  EXPECT_EQ(Parsed(Completions(), many.dump()).further_prompts.size(), 64U);
  many["n"] = 2;
  EXPECT_EQ(ErrorOf(Completions(), many.dump()),
            (Error{ErrorCode::kInvalidArgument, "2 answers to each of 65 prompts are more than 128", "n"}));
  many["prompt"] = std::vector<std::string>(129, "x");
  EXPECT_EQ(ErrorOf(Completions(), many.dump()).message, "prompt has 129 entries, more than 128");
}

TEST(OpenAiCompletionsTest, EachAnswerHasItsIndexAndItsEnd) {
  GenerationEnd end = GoodEnd();
  end.each = {{.status = {}, .reason = FinishReason::kLength}, {.status = {}, .reason = FinishReason::kStop}};
  const ParsedCall call = Parsed(Completions(), With(kLeastCompletion, "n", "2"));
  const Json body = Json::parse(call.writer->Whole({{"a", {}, 0}, {"b", {}, 1}}, end));
  ASSERT_EQ(body["choices"].size(), 2U);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["choices"][1]["text"], "b");
  EXPECT_EQ(body["choices"][1]["index"], 1);
  EXPECT_EQ(body["choices"][1]["finish_reason"], "stop");
  EXPECT_EQ(Frames(call.writer->StreamDelta({"x", {}, 1})).at(0)["choices"][0]["index"], 1);
  const auto frames = Frames(call.writer->StreamEnd(end));
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(frames[1]["choices"][0]["index"], 1);
  EXPECT_EQ(frames[1]["choices"][0]["finish_reason"], "stop");
}

TEST(OpenAiCompletionsTest, WrongFieldsAreNamed) {
  const char* prompt = "prompt must be a string, an array of token ids and strings, or an array of these";
  ExpectWrongFields(Completions(), kLeastCompletion,
                    {{"prompt", "null", "prompt is missing"},
                     {"prompt", "5", prompt},
                     {"prompt", "{}", prompt},
                     {"prompt", "[1, [2]]", prompt},
                     {"prompt", "[1.5]", prompt},
                     {"prompt", "[-1]", prompt},
                     {"prompt", "[2147483648]", prompt},
                     {"prompt", "[[{}]]", "prompt[0] must be a string or an array of token ids and strings"},
                     {"prompt", "[\"a\", {}]", "prompt[1] must be a string or an array of token ids and strings"},
                     {"n", "129", "n must be an integer from 1 to 128, not 129"},
                     {"logprobs", "21", "logprobs must be an integer from 0 to 20, not 21"},
                     {"logprobs", "true", "logprobs must be an integer from 0 to 20, not true"},
                     {"prompt_logprobs", "21", "prompt_logprobs must be an integer from 0 to 20, not 21"},
                     {"prompt_logprobs", "-1", "prompt_logprobs must be an integer from 0 to 20, not -1"},
                     {"best_of", "129", "best_of must be an integer from 1 to 128, not 129"},
                     {"echo", "1", "echo must be true or false, not 1"},
                     {"suffix", "5", "suffix must be a string, not 5"},
                     {"return_raw", "true", "return_raw is not supported"},
                     {"reasoning_budget", "5", "reasoning_budget other than -1 is not supported; use /v1/chat/completions instead"},
                     {"max_tokens", "-2", "max_tokens must be an integer from -1 to 4294967295, not -2"},
                     {"messages", "[]", "messages is not supported; use prompt, or /v1/chat/completions instead"}});
  EXPECT_EQ(ErrorOf(Completions(), "{}"), (Error{ErrorCode::kInvalidArgument, "prompt is missing", "prompt"}));
}

Json StrippedCompletion(Json chunk) {
  EXPECT_TRUE(chunk["id"].get<std::string>().starts_with("cmpl-"));
  EXPECT_GT(chunk["created"].get<std::int64_t>(), 1'700'000'000);
  chunk.erase("id");
  chunk.erase("created");
  return chunk;
}

TEST(OpenAiCompletionsTest, TheStreamsChunks) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": "x", "stream": true, "stream_options": {"include_usage": true}})");
  std::string stream = call.writer->StreamDelta({"a", {}});
  stream += call.writer->StreamEnd(GoodEnd());
  const std::vector<Json> frames = Frames(stream);
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_EQ(StrippedCompletion(frames[0]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"a","index":0,"logprobs":null,"finish_reason":null}],"usage":null})"));
  EXPECT_EQ(StrippedCompletion(frames[1]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":null})"));
  EXPECT_EQ(StrippedCompletion(frames[2]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[],
    "usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}})"));
  EXPECT_EQ(frames[3], "[DONE]");
  EXPECT_EQ(frames[0]["id"], frames[2]["id"]);
}

TEST(OpenAiCompletionsTest, AnErrorIsTheLastFrameWithoutDone) {
  const std::vector<Json> frames = Frames(Parsed(Completions(), With(kLeastCompletion, "stream", "true")).writer->StreamEnd(BadEnd()));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0]["error"]["code"], "timed_out");
}

TEST(OpenAiCompletionsTest, TheWholeAnswer) {
  const Json body = Json::parse(Parsed(Completions(), kLeastCompletion).writer->Whole({{"text", {}}}, GoodEnd()));
  EXPECT_EQ(StrippedCompletion(body), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"text","index":0,"logprobs":null,"finish_reason":"length"}],
    "usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}},"seed":42})"));
}

TEST(OpenAiCompletionsTest, LogprobsAreParallelArraysWhoseOffsetsGoOn) {
  const ParsedCall call = Parsed(Completions(), With(kLeastCompletion, "logprobs", "2"));
  const auto token = [](const char* bytes, float logprob) {
    return TokenText{.bytes = bytes, .token = {.token = 1, .logprob = logprob, .top = {{5, -0.25F}, {6, -2.0F}}}, .top_bytes = {"x", "y"}};
  };
  std::string stream = call.writer->StreamDelta({"ab", {token("ab", -0.5F)}});
  stream += call.writer->StreamDelta({"cd", {token("c", -1.0F), token("d", -1.5F)}});
  const std::vector<Json> frames = Frames(stream);
  EXPECT_EQ(frames[0]["choices"][0]["logprobs"], Json::parse(R"({"tokens":["ab"],"token_logprobs":[-0.5],
    "top_logprobs":[{"x":-0.25,"y":-2.0,"ab":-0.5}],"text_offset":[0]})"));
  EXPECT_EQ(frames[1]["choices"][0]["logprobs"]["tokens"], (Json{"c", "d"}));
  EXPECT_EQ(frames[1]["choices"][0]["logprobs"]["text_offset"], (Json{2, 3}));
}

// OpenAI's names of tokens that are no text by themselves; the offsets are those of characters.
TEST(OpenAiCompletionsTest, LogprobsOfCutCharacters) {
  const ParsedCall call = Parsed(Completions(), With(kLeastCompletion, "logprobs", "3"));
  const auto token = [](TokenId id, const char* bytes, std::vector<TokenLogprob> top, std::vector<std::string> top_bytes) {
    return TokenText{.bytes = bytes, .token = {.token = id, .logprob = -0.5F, .top = std::move(top)}, .top_bytes = std::move(top_bytes)};
  };
  TextDelta delta{"é😀x", {}};
  delta.tokens.push_back(token(1, "é", {{1, -0.5F}, {2, -1.0F}, {3, -2.0F}}, {"é", "\xF0\x9F", "\xF0\x9E"}));
  delta.tokens.push_back(token(2, "\xF0\x9F", {}, {}));
  delta.tokens.push_back(token(4, "\x98\x80", {}, {}));
  delta.tokens.push_back(token(5, "x", {{6, -0.25F}, {7, -0.75F}}, {"x", "y"}));
  delta.tokens.back().token.top.push_back({8, -3.0F});
  delta.tokens.back().top_bytes.emplace_back("y");
  const Json logprobs = Frames(call.writer->StreamDelta(delta)).at(0)["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::parse(R"(["é", "bytes:\\xf0\\x9f", "bytes:\\x98\\x80", "x"])"));
  EXPECT_EQ(logprobs["text_offset"], (Json{0, 1, 1, 2}));
  EXPECT_EQ(logprobs["top_logprobs"][0], Json::parse(R"({"é": -0.5, "bytes:\\xf0\\x9f": -1.0, "bytes:\\xf0\\x9e": -2.0})"));
  EXPECT_EQ(logprobs["top_logprobs"][3], Json::parse(R"({"token_id:6": -0.25, "y": -0.75, "token_id:8": -3.0, "x": -0.5})"))
      << "the chosen token's name has its own value";
  delta.tokens = {token(9, "<end>", {}, {}), token(5, "x", {}, {})};
  delta.tokens[0].in_text = false;
  EXPECT_EQ(Frames(call.writer->StreamDelta(delta)).at(0)["choices"][0]["logprobs"]["text_offset"], (Json{3, 3}));
}

TEST(OpenAiCompletionsTest, PromptsOfTextAndTokens) {
  const auto parts = [](const char* value) { return std::get<PromptParts>(PromptOf(value)); };
  const PromptParts mixed = parts(R"([12, 34, "text", 56.0])");
  ASSERT_EQ(mixed.parts.size(), 3U);
  EXPECT_EQ(std::get<std::vector<TokenId>>(mixed.parts[0]), (std::vector<TokenId>{12, 34}));
  EXPECT_EQ(std::get<std::string>(mixed.parts[1]), "text");
  EXPECT_EQ(std::get<std::vector<TokenId>>(mixed.parts[2]), std::vector<TokenId>{56});
  EXPECT_TRUE(mixed.add_special_tokens);
  const ParsedCall call = Parsed(Completions(), R"({"prompt": [["a", 1], "b", [2]], "add_special_tokens": false})");
  EXPECT_FALSE(std::get<PromptParts>(call.request.prompt).add_special_tokens);
  ASSERT_EQ(call.further_prompts.size(), 2U);
  EXPECT_FALSE(std::get<PromptParts>(call.further_prompts[0]).add_special_tokens);
  EXPECT_EQ(std::get<std::vector<TokenId>>(call.further_prompts[1]), std::vector<TokenId>{2});
}

TEST(OpenAiCompletionsTest, BestOfEchoAndTextOptionsArrive) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": "x", "n": 2, "best_of": 4, "echo": true, "include_stop_str_in_output": true,
    "skip_special_tokens": false, "spaces_between_special_tokens": true})");
  EXPECT_EQ(call.choices, 2);
  EXPECT_EQ(call.best_of, 4);
  EXPECT_EQ(call.request.sampling.top_logprobs, 0) << "they are compared by it";
  EXPECT_TRUE(call.request.echo);
  EXPECT_TRUE(call.request.include_stop);
  EXPECT_TRUE(call.request.show_special_tokens);
  EXPECT_TRUE(Json::parse(call.writer->Whole({{"a", {}}}, GoodEnd()))["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(Parsed(Completions(), With(kLeastCompletion, "n", "3")).best_of, 3);
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": "x", "n": 2, "best_of": 1})").field, "best_of");
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": ["x", "y"], "best_of": 65})").field, "best_of");
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": "x", "best_of": 2, "stream": true})").field, "best_of");
  EXPECT_EQ(Parsed(Completions(), With(kLeastCompletion, "logprobs", "false")).request.sampling.top_logprobs, kNoLogprobs);
}

TEST(OpenAiCompletionsTest, AnEchoWithLogprobsScoresThePrompt) {
  const ParsedCall plain = Parsed(Completions(), R"({"prompt": "x", "echo": true, "max_tokens": 0})");
  EXPECT_FALSE(plain.request.prompt_logprobs);
  EXPECT_EQ(plain.request.max_tokens, 0);
  EXPECT_FALSE(plain.request.shows_stop_token);
  const ParsedCall call =
      Parsed(Completions(), R"({"prompt": [[1, 2], "x"], "echo": true, "logprobs": 2, "max_tokens": 1, "stream": true})");
  EXPECT_EQ(call.request.prompt_logprobs, 2);
  EXPECT_EQ(call.request.sampling.top_logprobs, 2);
  EXPECT_TRUE(call.request.shows_stop_token);
  const ParsedCall both = Parsed(Completions(), R"({"prompt": "x", "echo": true, "logprobs": 2, "prompt_logprobs": 5})");
  EXPECT_EQ(both.request.prompt_logprobs, 5);
  EXPECT_EQ(Parsed(Completions(), R"({"prompt": "x", "prompt_logprobs": 0})").request.prompt_logprobs, 0);
  EXPECT_FALSE(Parsed(Completions(), R"({"prompt": "x", "prompt_logprobs": false, "stream": true})").request.prompt_logprobs);
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": "x", "prompt_logprobs": 1, "stream": true})"),
            (Error{ErrorCode::kInvalidArgument, "prompt_logprobs is not available with stream: true", "prompt_logprobs"}));
  EXPECT_EQ(ErrorOf(Completions(), R"({"prompt": "x", "suffix": "y", "echo": true, "logprobs": 1})").field, "suffix");
}

PromptToken PromptTokenOf(TokenId id, std::string bytes, float logprob, std::int32_t rank, std::vector<TokenLogprob> top,
                          std::vector<std::string> top_bytes) {
  return {.text = {.bytes = std::move(bytes), .token = {id, logprob, std::move(top)}, .top_bytes = std::move(top_bytes)}, .rank = rank};
}

// A beginning of the text that isn't of it, a space that the tokenizer puts before it, and a character of two tokens.
TextDelta ScoredPrompt() {
  TextDelta delta{.text = "aé", .tokens = {}, .echoed = 3};
  delta.prompt = {PromptTokenOf(1, "<s>", 0, 0, {}, {}), PromptTokenOf(2, " a", -3, 7, {{9, -1}, {8, -2}}, {"z", "y"}),
                  PromptTokenOf(3, "\xC3", -1, 1, {{3, -1}, {8, -2}}, {"\xC3", "y"}),
                  PromptTokenOf(4, "\xA9", -kInfinity, 300, {{9, -1}, {8, -2}}, {"z", "y"})};
  delta.prompt[0].text.in_text = false;
  return delta;
}

TEST(OpenAiCompletionsTest, LogprobsGoOnOverPromptAndAnswer) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": "x", "echo": true, "logprobs": 1, "prompt_logprobs": 2})");
  TextDelta answer = ScoredPrompt();
  answer.Append({.text = "b", .tokens = {{.bytes = "b", .token = {5, -0.5F, {{5, -0.5F}}}, .top_bytes = {"b"}}}});
  const Json choice = Json::parse(call.writer->Whole({answer}, GoodEnd()))["choices"][0];
  EXPECT_EQ(choice["text"], "aéb");
  const Json& logprobs = choice["logprobs"];
  EXPECT_EQ(logprobs["tokens"], (Json{"<s>", " a", "bytes:\\xc3", "bytes:\\xa9", "b"}));
  EXPECT_EQ(logprobs["token_logprobs"], (Json{nullptr, -3.0, -1.0, -9999.0, -0.5}));
  EXPECT_EQ(logprobs["text_offset"], (Json{0, 0, 1, 1, 2}));
  EXPECT_EQ(logprobs["top_logprobs"][0], nullptr);
  EXPECT_EQ(logprobs["top_logprobs"][1], (Json{{"z", -1.0}, {" a", -3.0}})) << "as many as logprobs says, and the prompt's own";
  EXPECT_EQ(logprobs["top_logprobs"][4], (Json{{"b", -0.5}}));
  const Json& scores = choice["prompt_logprobs"];
  ASSERT_EQ(scores.size(), 4U);
  EXPECT_EQ(scores[0], nullptr);
  EXPECT_EQ(scores[1], (Json{{"2", {{"logprob", -3.0}, {"rank", 7}, {"decoded_token", " a"}}},
                             {"9", {{"logprob", -1.0}, {"rank", 1}, {"decoded_token", "z"}}},
                             {"8", {{"logprob", -2.0}, {"rank", 2}, {"decoded_token", "y"}}}}));
  EXPECT_EQ(scores[2].size(), 2U) << "the prompt's own is among the likeliest";
  EXPECT_EQ(scores[3]["4"]["logprob"], -9999.0);
}

TEST(OpenAiCompletionsTest, AStreamBeginsWithTheScoredPrompt) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": "x", "echo": true, "logprobs": 1, "stream": true})");
  const Json first = Frames(call.writer->StreamDelta(ScoredPrompt())).at(0)["choices"][0];
  EXPECT_EQ(first["text"], "aé");
  EXPECT_EQ(first["logprobs"]["tokens"].size(), 4U);
  const Json next = Frames(call.writer->StreamDelta({.text = "b", .tokens = {{.bytes = "b", .token = {5, -0.5F, {}}, .top_bytes = {}}}}))
                        .at(0)["choices"][0];
  EXPECT_EQ(next["logprobs"]["text_offset"], (Json{2}));
}

TEST(OpenAiCompletionsTest, UsageInEveryChunk) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": "x", "stream": true,
    "stream_options": {"include_usage": true, "continuous_usage_stats": true}})");
  TextDelta delta{"a", {}};
  delta.counts = {.prompt = 7, .cached = 3, .generated = 1};
  const std::vector<Json> frames = Frames(call.writer->StreamDelta(delta) + call.writer->StreamEnd(GoodEnd()));
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_EQ(frames[0]["usage"]["completion_tokens"], 1);
  EXPECT_EQ(frames[0]["usage"]["total_tokens"], 8);
  EXPECT_EQ(frames[1]["usage"]["completion_tokens"], 10);
  EXPECT_EQ(frames[2]["usage"]["completion_tokens"], 10);
  EXPECT_TRUE(frames[2]["choices"].empty());
}

TEST(OpenAiCompletionsTest, TheFingerprintIsThatOfTheServer) {
  const OpenAiCompletionsDialect dialect({.id = "toy", .created_unix_s = 1, .fingerprint = "cllm-1-abc"});
  const ParsedCall call = Parsed(dialect, kLeastCompletion);
  EXPECT_EQ(Json::parse(call.writer->Whole({{"a", {}}}, GoodEnd()))["system_fingerprint"], "cllm-1-abc");
  EXPECT_EQ(Frames(call.writer->StreamDelta({"a", {}})).at(0)["system_fingerprint"], "cllm-1-abc");
}

TEST(OpenAiCompletionsTest, UnknownFieldsAreNamedOrRefused) {
  const char* body = R"({"prompt": "x", "made_up": 1, "stream_options": {"made_up": 2}, "nothing": null})";
  EXPECT_EQ(Parsed(Completions(), body).ignored_fields, (std::vector<std::string>{"stream_options.made_up", "made_up"}));
  const OpenAiCompletionsDialect strict({.id = "toy"}, {.unknown_fields = "reject"});
  EXPECT_EQ(ErrorOf(strict, With(kLeastCompletion, "made_up", "1")),
            (Error{ErrorCode::kInvalidArgument, "unknown field made_up", "made_up"}));
  EXPECT_TRUE(Parsed(strict, With(kLeastCompletion, "made_up", "null")).ignored_fields.empty());
}

}  // namespace
}  // namespace cllm
