#include "api/cllm_dialect.h"

#include <limits>
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "api/sampling_fields.h"
#include "api/testing_json.h"

namespace cllm {
namespace {

constexpr const char* kLeast = R"({"prompt": "hi"})";

const CllmDialect& Generate() {
  static const CllmDialect dialect(CllmDialect::Endpoint::kGenerate, {.generate_max_tokens = 128});
  return dialect;
}
const CllmDialect& Stream() {
  static const CllmDialect dialect(CllmDialect::Endpoint::kGenerateStream, {.generate_max_tokens = 128});
  return dialect;
}

TEST(CllmDialectTest, APromptAloneGetsTheDefaults) {
  const ParsedCall call = Parsed(Generate(), kLeast);
  EXPECT_EQ(std::get<std::string>(call.request.prompt), "hi");
  EXPECT_FALSE(call.request.max_tokens);
  EXPECT_EQ(call.request.default_max_tokens, 128);
  EXPECT_FALSE(call.request.seed);
  EXPECT_FALSE(call.request.ignore_eos);
  EXPECT_FALSE(call.request.timeout_s);
  EXPECT_TRUE(call.request.stop.empty());
  EXPECT_FALSE(call.stream);
  const SamplingParams& sampling = call.request.sampling;
  const SamplingParams defaults;
  EXPECT_EQ(sampling.temperature, defaults.temperature);
  EXPECT_EQ(sampling.top_k, defaults.top_k);
  EXPECT_EQ(sampling.top_p, defaults.top_p);
  EXPECT_EQ(sampling.min_p, defaults.min_p);
  EXPECT_EQ(sampling.repetition_penalty, defaults.repetition_penalty);
  EXPECT_EQ(sampling.top_logprobs, kNoLogprobs);
}

TEST(CllmDialectTest, SettingsHoldWhereTheRequestSaysNothing) {
  const RequestDefaults defaults{.sampling = {.temperature = 0.25, .top_k = 3, .top_p = 0.5}, .max_tokens = 9, .generate_max_tokens = 128};
  const CllmDialect dialect(CllmDialect::Endpoint::kGenerate, defaults);
  const ParsedCall least = Parsed(dialect, kLeast);
  EXPECT_EQ(least.request.sampling.temperature, 0.25);
  EXPECT_EQ(least.request.sampling.top_k, 3);
  EXPECT_EQ(least.request.sampling.top_p, 0.5);
  EXPECT_EQ(least.request.default_max_tokens, 9);
  const ParsedCall own = Parsed(dialect, R"({"prompt": "x", "temperature": 1.5, "top_k": 0, "top_p": 1, "max_tokens": 2})");
  EXPECT_EQ(own.request.sampling.temperature, 1.5);
  EXPECT_EQ(own.request.sampling.top_k, 0);
  EXPECT_EQ(own.request.sampling.top_p, 1.0);
  EXPECT_EQ(own.request.max_tokens, 2);
}

TEST(CllmDialectTest, EveryFieldArrives) {
  const ParsedCall call = Parsed(Generate(), R"({"prompt": "人", "max_tokens": 9, "temperature": 0, "top_p": 0.5, "top_k": 7,
    "min_p": 0.25, "repetition_penalty": 1.5, "repeat_last_n": 33, "presence_penalty": -2, "frequency_penalty": 2,
    "logit_bias": {"5": -100, "6": 1.5}, "seed": 9223372036854775807, "stop": ["a", "b"], "ignore_eos": true,
    "allowed_token_ids": [3, 2147483647], "banned_token_ids": [], "stop_token_ids": [8], "min_tokens": 4, "priority": -100,
    "timeout": 2.5, "stream": true})");
  const GenerateRequest& request = call.request;
  EXPECT_EQ(std::get<std::string>(request.prompt), "人");
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_EQ(request.sampling.temperature, 0.0);
  EXPECT_EQ(request.sampling.top_p, 0.5);
  EXPECT_EQ(request.sampling.top_k, 7);
  EXPECT_EQ(request.sampling.min_p, 0.25);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.5);
  EXPECT_EQ(request.sampling.penalty_last_n, 33);
  EXPECT_EQ(request.sampling.presence_penalty, -2.0);
  EXPECT_EQ(request.sampling.frequency_penalty, 2.0);
  EXPECT_EQ(request.sampling.logit_bias, (std::vector<std::pair<std::int32_t, float>>{{5, -100.0F}, {6, 1.5F}}));
  EXPECT_EQ(request.seed, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request.ignore_eos);
  EXPECT_EQ(request.timeout_s, 2.5);
  EXPECT_EQ(request.sampling.allowed, (std::vector<std::int32_t>{3, 2147483647}));
  EXPECT_TRUE(request.sampling.banned.empty());
  EXPECT_EQ(request.stop_tokens, std::vector<std::int32_t>{8});
  EXPECT_EQ(request.min_tokens, 4);
  EXPECT_EQ(request.priority, -100);
  EXPECT_TRUE(call.stream);
}

TEST(CllmDialectTest, SpecialValues) {
  EXPECT_FALSE(Parsed(Generate(), With(kLeast, "seed", "-1")).request.seed) << "-1 asks for a random one";
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "seed", "0")).request.seed, 0U);
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "seed", "-2")).request.seed, static_cast<std::uint64_t>(-2));
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "max_tokens", "-1")).request.max_tokens, kUntilContextEnd);
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "max_tokens", "42.0")).request.max_tokens, 42);
  EXPECT_GT(Parsed(Generate(), With(kLeast, "max_tokens", "2147483647")).request.max_tokens, 1'000'000'000);
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "top_k", "-1")).request.sampling.top_k, 0);
  Parsed(Generate(), With(kLeast, "wat", "null"));
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "repeat_penalty", "1.25")).request.sampling.repetition_penalty, 1.25);
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "repeat_last_n", "-1")).request.sampling.penalty_last_n, kWholeContext);
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "stop", "\"x\"")).request.stop, std::vector<std::string>{"x"});
  for (const char* nothing : {"[]", "\"\"", "[\"\"]"}) {
    EXPECT_TRUE(Parsed(Generate(), With(kLeast, "stop", nothing)).request.stop.empty()) << nothing;
  }
  for (const char* name : {"max_tokens", "temperature", "seed", "stop", "stream", "logit_bias", "timeout"}) {
    Parsed(Generate(), With(kLeast, name, "null"));
  }
}

TEST(CllmDialectTest, WrongValuesNameTheirFieldAndBounds) {
  const std::string many_stops = Json(std::vector<std::string>(17, "x")).dump();
  Json biases;
  for (int token = 0; token < 1024; ++token) biases[std::to_string(token)] = 1;
  EXPECT_EQ(Parsed(Generate(), With(kLeast, "logit_bias", biases.dump())).request.sampling.logit_bias.size(), 1024U);
  biases["1024"] = 1;
  const std::string many_biases = biases.dump();
  const char* bias = "logit_bias must be an object of at most 1024 token ids with numbers from -100 to 100, or a list of pairs of these";
  const std::string long_stop = "\"" + std::string(1025, 'x') + "\"";
  const char* stops = "stop must be a string of at most 1024 bytes, or an array of at most 16 of them, not an array";
  ExpectWrongFields(
      Generate(), kLeast,
      {{"prompt", "5", "prompt must be a string, not 5"},
       {"prompt", "[1, 2]", "prompt must be a string, not an array"},
       {"prompt", "null", "prompt is missing"},
       {"max_tokens", "0", "max_tokens must be at least 1, or -1 for as many as the context has room for, not 0"},
       {"max_tokens", "4294967296", "max_tokens must be an integer from -1 to 4294967295, not 4294967296"},
       {"max_tokens", "\"5\"", "max_tokens must be an integer from -1 to 4294967295, not \"5\""},
       {"max_tokens", "1.5", "max_tokens must be an integer from -1 to 4294967295, not 1.5"},
       {"temperature", "-0.1", "temperature must be a number from 0 to 2, not -0.1"},
       {"temperature", "2.1", "temperature must be a number from 0 to 2, not 2.1"},
       {"temperature", "\"hot\"", "temperature must be a number from 0 to 2, not \"hot\""},
       {"top_p", "1.1", "top_p must be a number from 0 to 1, not 1.1"},
       {"top_p", "-1", "top_p must be a number from 0 to 1, not -1"},
       {"min_p", "1.1", "min_p must be a number from 0 to 1, not 1.1"},
       {"top_k", "-2", "top_k must be an integer from -1 to 2147483647, not -2"},
       {"top_k", "2147483648", "top_k must be an integer from -1 to 2147483647, not 2147483648"},
       {"repetition_penalty", "0", "repetition_penalty must be a number from 0.01 to 100, not 0"},
       {"repeat_penalty", "101", "repeat_penalty must be a number from 0.01 to 100, not 101"},
       {"repeat_last_n", "-2", "repeat_last_n must be an integer from -1 to 2147483647, not -2"},
       {"presence_penalty", "2.5", "presence_penalty must be a number from -2 to 2, not 2.5"},
       {"frequency_penalty", "-2.5", "frequency_penalty must be a number from -2 to 2, not -2.5"},
       {"seed", "1.5", "seed must be an integer from -9223372036854775808 to 9223372036854775807, not 1.5"},
       {"seed", "18446744073709551615",
        "seed must be an integer from -9223372036854775808 to 9223372036854775807, not 18446744073709551615"},
       {"stop", "5", "stop must be a string of at most 1024 bytes, or an array of at most 16 of them, not 5"},
       {"stop", long_stop.c_str(), "stop must be a string of at most 1024 bytes, or an array of at most 16 of them, not a long string"},
       {"stop", "[\"a\", 1]", stops},
       {"stop", many_stops.c_str(), stops},
       {"ignore_eos", "1", "ignore_eos must be true or false, not 1"},
       {"stream", "\"yes\"", "stream must be true or false, not \"yes\""},
       {"timeout", "0", "timeout must be a number from 0.001 to 1000000000, not 0"},
       {"logit_bias", "[1]", bias},
       {"logit_bias", R"({"x": 1})", bias},
       {"logit_bias", R"({"-1": 1})", bias},
       {"logit_bias", R"({"5x": 1})", bias},
       {"logit_bias", R"({"99999999999": 1})", bias},
       {"logit_bias", R"({"5": 101})", bias},
       {"logit_bias", R"({"5": "1"})", bias},
       {"logit_bias", many_biases.c_str(), bias},
       {"priority", "101", "priority must be an integer from -100 to 100, not 101"},
       {"min_tokens", "-1", "min_tokens must be an integer from 0 to 4294967295, not -1"},
       {"stop_token_ids", "5", "stop_token_ids must be an array of at most 1024 token ids, not 5"},
       {"stop_token_ids", "[-1]", "stop_token_ids must be an array of at most 1024 token ids, not an array"},
       {"banned_token_ids", "[2147483648]", "banned_token_ids must be an array of at most 1024 token ids, not an array"},
       {"allowed_token_ids", "[\"a\"]", "allowed_token_ids must be an array of at most 1024 token ids, not an array"},
       {"allowed_token_ids", "[]", "allowed_token_ids must name a token: without one nothing could be sampled"},
       {"n_predict", "5", "unknown field n_predict"},
       {"model", "\"x\"", "unknown field model"},
       {"Prompt", "\"x\"", "unknown field Prompt: did you mean prompt?"},
       {"wat", "1", "unknown field wat"}});
}

TEST(PriorityHeaderTest, ItIsForBodiesThatNameNone) {
  GenerateRequest request;
  EXPECT_TRUE(ReadPriorityHeader("-7", request.priority));
  EXPECT_EQ(request.priority, -7);
  EXPECT_TRUE(ReadPriorityHeader("9", request.priority));
  EXPECT_EQ(request.priority, -7);
  for (const char* wrong : {"", "x", "1x", " 1", "+1", "1.5", "101", "-101", "99999999999"}) {
    const Status status = ReadPriorityHeader(wrong, request.priority);
    ASSERT_FALSE(status) << wrong;
    EXPECT_EQ(status.error().field, "X-cLLM-Priority");
    EXPECT_EQ(status.error().message, "X-cLLM-Priority must be an integer from -100 to 100");
  }
}

TEST(CllmDialectTest, AMissingPromptAndABadBodyAreErrors) {
  EXPECT_EQ(ErrorOf(Generate(), "{}"), (Error{ErrorCode::kInvalidArgument, "prompt is missing", "prompt"}));
  EXPECT_EQ(ErrorOf(Generate(), "[]").message, "the body must be a JSON object");
  EXPECT_EQ(ErrorOf(Generate(), "{").code, ErrorCode::kInvalidArgument);
}

TEST(CllmDialectTest, TheStreamEndpointAlwaysStreams) {
  EXPECT_TRUE(Parsed(Stream(), kLeast).stream);
  EXPECT_TRUE(Parsed(Stream(), With(kLeast, "stream", "true")).stream);
  EXPECT_EQ(ErrorOf(Stream(), With(kLeast, "stream", "false")).field, "stream");
}

TEST(CllmDialectTest, FramesAreExact) {
  const ParsedCall call = Parsed(Stream(), kLeast);
  const std::string first = call.writer->StreamDelta({"a\"人\n", {}});
  const std::string id = Frames(first).at(0)["id"];
  EXPECT_TRUE(std::regex_match(id, std::regex("[0-9a-f]{32}"))) << id;
  EXPECT_EQ(first, "data: {\"id\":\"" + id + R"(","token":"a\"人\n","done":false})" + "\n\n");
  EXPECT_EQ(call.writer->StreamEnd(GoodEnd()), "data: {\"id\":\"" + id +
                                                   R"(","token":"","done":true,"generated_tokens":10,"prompt_tokens":7,)"
                                                   R"("finish_reason":"length","seed":42})" +
                                                   "\n\n");
  EXPECT_EQ(call.writer->StreamEnd(BadEnd()),
            "data: {\"id\":\"" + id + R"(","error":{"code":"timed_out","message":"too late","field":null},"done":true})" + "\n\n");
  EXPECT_NE(Frames(Parsed(Stream(), kLeast).writer->StreamDelta({"a", {}})).at(0)["id"], id);
}

TEST(CllmDialectTest, TheWholeAnswer) {
  const Json body = Json::parse(Parsed(Generate(), kLeast).writer->Whole({{"text", {}}}, GoodEnd(FinishReason::kStop)));
  EXPECT_EQ(Keys(body), (std::vector<std::string>{"data", "success"}));
  EXPECT_EQ(body["success"], true);
  const Json& data = body["data"];
  EXPECT_EQ(Keys(data), (std::vector<std::string>{"id", "response_time", "text", "tokens_per_second", "generated_tokens", "prompt_tokens",
                                                  "finish_reason", "seed"}));
  EXPECT_TRUE(std::regex_match(data["id"].get<std::string>(), std::regex("[0-9a-f]{32}")));
  EXPECT_EQ(data["response_time"], 2.0);
  EXPECT_EQ(data["text"], "text");
  EXPECT_EQ(data["tokens_per_second"], 5.0);
  EXPECT_EQ(data["generated_tokens"], 10);
  EXPECT_EQ(data["prompt_tokens"], 7);
  EXPECT_EQ(data["finish_reason"], "stop");
  EXPECT_EQ(data["seed"], 42);
}

TEST(CllmDialectTest, TheAnswerSaysWhatMaxTokensWasCutTo) {
  GenerationEnd end = GoodEnd();
  end.cut_max_tokens = 99;
  end.seed = static_cast<std::uint64_t>(-2);
  const Json data = Json::parse(Parsed(Generate(), kLeast).writer->Whole({{"", {}}}, end))["data"];
  EXPECT_EQ(data["max_tokens"], 99);
  EXPECT_EQ(data["seed"], -2) << "as it was sent";
  EXPECT_EQ(Frames(Parsed(Stream(), kLeast).writer->StreamEnd(end)).at(0)["max_tokens"], 99);
}

TEST(CllmDialectTest, ADefaultSeedHoldsWhereTheRequestNamesNone) {
  const CllmDialect dialect(CllmDialect::Endpoint::kGenerate, {.seed = 5});
  EXPECT_EQ(Parsed(dialect, kLeast).request.seed, 5U);
  EXPECT_EQ(Parsed(dialect, With(kLeast, "seed", "6")).request.seed, 6U);
  EXPECT_FALSE(Parsed(dialect, With(kLeast, "seed", "-1")).request.seed);
}

TEST(CllmDialectTest, NoTimeIsNoDivision) {
  GenerationEnd end = GoodEnd();
  end.response_time_s = 0;
  const Json body = Json::parse(Parsed(Generate(), kLeast).writer->Whole({{"", {}}}, end));
  EXPECT_EQ(body["data"]["tokens_per_second"], 0.0);
}

}  // namespace
}  // namespace cllm
