#include "api/openai_completions.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr const char* kLeast = R"({"prompt": "hi"})";

const OpenAiCompletionsDialect& Completions() {
  static const OpenAiCompletionsDialect dialect({.id = "toy", .created_unix_s = 1});
  return dialect;
}

Prompt PromptOf(const char* value) { return Parsed(Completions(), With(kLeast, "prompt", value)).request.prompt; }

TEST(OpenAiCompletionsTest, APromptIsTextOrTokensOrAListOfOneOfThem) {
  const std::vector<TokenId> tokens{1, 2};
  EXPECT_EQ(std::get<std::string>(PromptOf("\"a\"")), "a");
  EXPECT_EQ(std::get<std::string>(PromptOf("[\"a\"]")), "a");
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[1, 2]")), tokens);
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[[1, 2]]")), tokens);
  EXPECT_EQ(std::get<std::vector<TokenId>>(PromptOf("[7]")), std::vector<TokenId>{7});
}

TEST(OpenAiCompletionsTest, FieldsArrive) {
  const ParsedCall least = Parsed(Completions(), kLeast);
  EXPECT_FALSE(least.request.max_tokens);
  EXPECT_EQ(least.request.default_max_tokens, 16) << "OpenAI's default here";
  EXPECT_EQ(least.request.sampling.top_logprobs, kNoLogprobs);
  for (const char* name : {"max_tokens", "max_completion_tokens", "n_predict"}) {
    EXPECT_EQ(Parsed(Completions(), With(kLeast, name, "9")).request.max_tokens, 9) << name;
  }
  for (const char* n : {"0", "5"}) {
    EXPECT_EQ(Parsed(Completions(), With(kLeast, "logprobs", n)).request.sampling.top_logprobs, std::stoi(n));
  }
  const ParsedCall call = Parsed(Completions(), R"({"model": "m", "prompt": "x", "stream": true, "best_of": 1, "echo": false,
    "suffix": "", "seed": 4, "stop": ["a"], "user": "u", "cache_prompt": true})");
  EXPECT_TRUE(call.stream);
  EXPECT_EQ(call.request.seed, 4U);
  EXPECT_EQ(call.request.stop, std::vector<std::string>{"a"});
}

TEST(OpenAiCompletionsTest, SettingsHoldWhereTheRequestSaysNothing) {
  const OpenAiCompletionsDialect dialect({.id = "toy"}, {.sampling = {.temperature = 0.25, .top_k = 3, .top_p = 0.5}, .max_tokens = 9});
  const ParsedCall least = Parsed(dialect, kLeast);
  EXPECT_EQ(least.request.default_max_tokens, 9);
  EXPECT_EQ(least.request.sampling.temperature, 0.25);
  EXPECT_EQ(least.request.sampling.top_k, 3);
  EXPECT_EQ(least.request.sampling.top_p, 0.5);
  EXPECT_EQ(Parsed(dialect, With(kLeast, "temperature", "2")).request.sampling.temperature, 2.0);
}

TEST(OpenAiCompletionsTest, SeveralPromptsAndSeveralAnswers) {
  const ParsedCall call = Parsed(Completions(), R"({"prompt": ["a", [1, 2], "c"], "n": 2, "best_of": 2})");
  EXPECT_EQ(std::get<std::string>(call.request.prompt), "a");
  ASSERT_EQ(call.further_prompts.size(), 2U);
  EXPECT_EQ(std::get<std::vector<TokenId>>(call.further_prompts[0]), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(std::get<std::string>(call.further_prompts[1]), "c");
  EXPECT_EQ(call.choices, 2);
  Json many = Json::parse(kLeast);
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
  end.reasons = {FinishReason::kLength, FinishReason::kStop};
  const ParsedCall call = Parsed(Completions(), With(kLeast, "n", "2"));
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
  const char* prompt = "prompt must be a string, an array of token ids, or an array of these";
  ExpectWrongFields(Completions(), kLeast,
                    {{"prompt", "null", "prompt is missing"},
                     {"prompt", "5", prompt},
                     {"prompt", "{}", prompt},
                     {"prompt", "[1, \"a\"]", prompt},
                     {"prompt", "[1.5]", prompt},
                     {"prompt", "[-1]", prompt},
                     {"prompt", "[2147483648]", prompt},
                     {"prompt", "[[\"a\"]]", "prompt[0] must be a string or an array of token ids"},
                     {"prompt", "[\"a\", 5]", "prompt[1] must be a string or an array of token ids"},
                     {"n", "129", "n must be an integer from 1 to 128, not 129"},
                     {"logprobs", "6", "logprobs must be an integer from 0 to 5, not 6"},
                     {"logprobs", "true", "logprobs must be an integer from 0 to 5, not true"},
                     {"best_of", "2", "best_of other than n is not supported yet"},
                     {"echo", "true", "echo is not supported yet"},
                     {"suffix", "\"x\"", "suffix is not supported yet"},
                     {"max_tokens", "0", "max_tokens must be an integer from 1 to 1000000000, not 0"},
                     {"messages", "[]", "unknown field messages"}});
  EXPECT_EQ(ErrorOf(Completions(), "{}"), (Error{ErrorCode::kInvalidArgument, "prompt is missing", "prompt"}));
}

Json Stripped(Json chunk) {
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
  EXPECT_EQ(Stripped(frames[0]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"a","index":0,"logprobs":null,"finish_reason":null}],"usage":null})"));
  EXPECT_EQ(Stripped(frames[1]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":null})"));
  EXPECT_EQ(Stripped(frames[2]), Json::parse(R"({"object":"text_completion","model":"toy","choices":[],
    "usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3}}})"));
  EXPECT_EQ(frames[3], "[DONE]");
  EXPECT_EQ(frames[0]["id"], frames[2]["id"]);
}

TEST(OpenAiCompletionsTest, AnErrorIsTheLastFrameWithoutDone) {
  const std::vector<Json> frames = Frames(Parsed(Completions(), With(kLeast, "stream", "true")).writer->StreamEnd(BadEnd()));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0]["error"]["code"], "timed_out");
}

TEST(OpenAiCompletionsTest, TheWholeAnswer) {
  const Json body = Json::parse(Parsed(Completions(), kLeast).writer->Whole({{"text", {}}}, GoodEnd()));
  EXPECT_EQ(Stripped(body), Json::parse(R"({"object":"text_completion","model":"toy","choices":[
    {"text":"text","index":0,"logprobs":null,"finish_reason":"length"}],
    "usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3}},"seed":42})"));
}

TEST(OpenAiCompletionsTest, LogprobsAreParallelArraysWhoseOffsetsGoOn) {
  const ParsedCall call = Parsed(Completions(), With(kLeast, "logprobs", "2"));
  const auto token = [](const char* bytes, float logprob) {
    return TokenText{.bytes = bytes, .token = {.token = 1, .logprob = logprob, .top = {{5, -0.25F}, {6, -2.0F}}}, .top_bytes = {"x", "y"}};
  };
  std::string stream = call.writer->StreamDelta({"ab", {token("ab", -0.5F)}});
  stream += call.writer->StreamDelta({"cd", {token("c", -1.0F), token("d", -1.5F)}});
  const std::vector<Json> frames = Frames(stream);
  EXPECT_EQ(frames[0]["choices"][0]["logprobs"], Json::parse(R"({"tokens":["ab"],"token_logprobs":[-0.5],
    "top_logprobs":[{"x":-0.25,"y":-2.0}],"text_offset":[0]})"));
  EXPECT_EQ(frames[1]["choices"][0]["logprobs"]["tokens"], (Json{"c", "d"}));
  EXPECT_EQ(frames[1]["choices"][0]["logprobs"]["text_offset"], (Json{2, 3}));
}

}  // namespace
}  // namespace cllm
