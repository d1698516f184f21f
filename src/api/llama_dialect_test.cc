#include "api/llama_dialect.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/backend.h"
#include "api/error_body.h"
#include "api/llama_views.h"
#include "api/testing_json.h"
#include "engine/fake/fake_engine.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr const char* kLeastLlama = R"({"prompt": "hi"})";

LlamaDialect Llama(LlamaForm form = LlamaForm::kCompletion, bool knows_gaps = true) {
  return {form, {.card = {.id = "toy"}, .ends = {7}, .knows_gaps = knows_gaps}, RequestDefaults{}};
}

TextDelta LlamaPiece(std::string text, TokenId token, int choice = 0) {
  TextDelta delta{.text = text, .choice = choice, .counts = {.prompt = 5, .generated = 1}};
  TokenText shown{.bytes = std::move(text), .token = {.token = token, .logprob = -0.5F, .top = {{token, -0.5F}}}, .top_bytes = {}};
  shown.top_bytes.push_back(shown.bytes);
  delta.tokens.push_back(std::move(shown));
  return delta;
}

GenerationEnd LlamaEnd() {
  GenerationEnd end;
  end.reason = FinishReason::kStop;
  end.prompt_tokens = 5;
  end.cached_tokens = 2;
  end.generated_tokens = 4;
  end.seed = 42;
  end.stop_string = "END";
  end.prompt = "hi";
  end.queue_time_s = 1;
  end.first_token_time_s = 1.5;
  end.generation_time_s = 2;
  return end;
}

TEST(LlamaDialectTest, AnswersGoOnUntilTheContextEnds) {
  const ParsedCall least = Parsed(Llama(), kLeastLlama);
  EXPECT_FALSE(least.request.max_tokens || least.request.default_max_tokens);
  EXPECT_TRUE(least.request.wants_tokens && least.request.wants_prompt);
  for (const char* name : {"n_predict", "max_tokens"}) {
    EXPECT_EQ(Parsed(Llama(), With(kLeastLlama, name, "9")).request.max_tokens, 9) << name;
  }
  EXPECT_EQ(Parsed(Llama(), With(kLeastLlama, "n_predict", "-1")).request.max_tokens, kUntilContextEnd);
  EXPECT_EQ(ErrorOf(Llama(), R"({"prompt": "x", "n_predict": 1, "max_tokens": 2})").field, "max_tokens");
  EXPECT_DOUBLE_EQ(Parsed(Llama(), With(kLeastLlama, "t_max_predict_ms", "1500")).request.most_generation_s.value(), 1.5);
  EXPECT_FALSE(Parsed(Llama(), With(kLeastLlama, "t_max_predict_ms", "-1")).request.most_generation_s);
}

TEST(LlamaDialectTest, PromptsMayBeObjectsWithAText) {
  const ParsedCall call = Parsed(Llama(), R"({"prompt": [[1, 2], {"prompt_string": "b"}]})");
  EXPECT_EQ(std::get<std::vector<TokenId>>(call.request.prompt), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(std::get<std::string>(call.further_prompts.at(0)), "b");
  EXPECT_EQ(ErrorOf(Llama(), R"({"prompt": {"prompt_string": "b", "multimodal_data": ["x"]}})").field, "prompt");
}

TEST(LlamaDialectTest, BiasesMayBePairs) {
  const SamplingParams sampling = Parsed(Llama(), With(kLeastLlama, "logit_bias", "[[5, -1.5], [6, false]]")).request.sampling;
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{5, -1.5F}}));
  EXPECT_EQ(sampling.banned, std::vector<TokenId>{6});
  for (const char* wrong : {"[[5]]", "[[5, true]]", "[[-1, 1]]", "[[5, 101]]", "[[\"a\", 1]]", "[5]", "[[5, 1, 1]]"}) {
    EXPECT_EQ(ErrorOf(Llama(), With(kLeastLlama, "logit_bias", wrong)).field, "logit_bias") << wrong;
  }
}

TEST(LlamaDialectTest, WhatThereIsNotIsRefusedByName) {
  for (const char* field : {"post_sampling_probs", "echo"}) {
    EXPECT_EQ(ErrorOf(Llama(), With(kLeastLlama, field, "true")).field, field);
  }
}

TEST(LlamaDialectTest, PiecesShowTheirTimesAndThePromptsProgress) {
  const ParsedCall call = Parsed(Llama(), R"({"prompt": "hi", "stream": true, "timings_per_token": true, "return_progress": true})");
  EXPECT_TRUE(call.request.wants_prompt_progress);
  EXPECT_FALSE(Parsed(Llama(), R"({"prompt": "hi", "return_progress": true})").request.wants_prompt_progress);
  TextDelta progress{.text = {}, .counts = {.prompt = 5, .cached = 2}, .times = {.prompt_s = 0.25}, .prompt_computed = 4};
  const Json piece = Frames(call.writer->StreamDelta(progress)).at(0);
  EXPECT_EQ(piece["prompt_progress"], Json::parse(R"({"total": 5, "cache": 2, "processed": 4, "time_ms": 250})"));
  EXPECT_EQ(piece["timings"]["prompt_ms"], 250);
  EXPECT_EQ(piece["content"], "");
  TextDelta text = LlamaPiece("a", 9);
  text.times = {.prompt_s = 0.5, .generation_s = 2};
  const Json next = Frames(call.writer->StreamDelta(text)).at(0);
  EXPECT_FALSE(next.contains("prompt_progress"));
  EXPECT_EQ(next["timings"]["predicted_n"], 1);
  EXPECT_EQ(next["timings"]["predicted_ms"], 2000);
  const ParsedCall plain = Parsed(Llama(), R"({"prompt": "hi", "stream": true})");
  EXPECT_FALSE(Frames(plain.writer->StreamDelta(text)).at(0).contains("timings"));
}

TEST(LlamaDialectTest, AWholeAnswerSaysHowItCame) {
  const ParsedCall call = Parsed(Llama(), R"({"prompt": "hi", "n_predict": 4, "return_tokens": true, "n_probs": 1, "ignore_eos": true,
    "logit_bias": {"3": 1.5}, "seed": 42, "id_slot": 3})");
  TextDelta answer = LlamaPiece("a\nb", 9);
  const Json body = Json::parse(call.writer->Whole({answer}, LlamaEnd()));
  EXPECT_EQ(body["content"], "a\nb");
  EXPECT_EQ(body["tokens"], Json::array({9}));
  EXPECT_EQ(body["stop_type"], "word");
  EXPECT_EQ(body["stopping_word"], "END");
  EXPECT_EQ(body["prompt"], "hi");
  EXPECT_EQ(body["id_slot"], 3);
  EXPECT_EQ(body["has_new_line"], true);
  EXPECT_EQ(body["truncated"], false);
  EXPECT_EQ(body["tokens_cached"], 9);
  EXPECT_EQ(body["completion_probabilities"][0]["top_logprobs"][0]["id"], 9);
  const Json& settings = body["generation_settings"];
  EXPECT_EQ(settings["n_predict"], 4);
  EXPECT_EQ(settings["seed"], 42);
  EXPECT_EQ(settings["logit_bias"], Json::parse(R"([{"token": 3, "bias": 1.5}, {"token": 7, "bias": null}])"));
  const Json& timings = body["timings"];
  EXPECT_EQ(timings["cache_n"], 2);
  EXPECT_EQ(timings["prompt_n"], 3);
  EXPECT_EQ(timings["prompt_ms"], 500.0);
  EXPECT_EQ(timings["predicted_per_second"], 2.0);
}

TEST(LlamaDialectTest, SeveralAnswersAreAList) {
  const ParsedCall call = Parsed(Llama(), R"({"prompt": ["a", "b"]})");
  GenerationEnd end;
  end.each = {LlamaEnd(), LlamaEnd()};
  end.each[1].reason = FinishReason::kLength;
  const Json body = Json::parse(call.writer->Whole({LlamaPiece("x", 1), LlamaPiece("y", 2, 1)}, end));
  ASSERT_TRUE(body.is_array());
  EXPECT_EQ(body[0]["stop_type"], "word");
  EXPECT_EQ(body[1]["stop_type"], "limit");
  EXPECT_EQ(body[1]["truncated"], true) << "nothing but the context bounded it";
  EXPECT_EQ(body[1]["index"], 1);
}

TEST(LlamaDialectTest, AStreamEndsWithTheWholeObjectWithoutText) {
  const ParsedCall call = Parsed(Llama(), R"({"prompt": "hi", "stream": true, "return_tokens": true})");
  const std::string piece = call.writer->StreamDelta(LlamaPiece("a\n", 9));
  ASSERT_TRUE(piece.starts_with("data: "));
  const Json chunk = Json::parse(piece.substr(6));
  EXPECT_EQ(chunk["content"], "a\n");
  EXPECT_EQ(chunk["tokens"], Json::array({9}));
  EXPECT_EQ(chunk["stop"], false);
  const std::string end = call.writer->StreamEnd(LlamaEnd());
  const Json last = Json::parse(end.substr(6));
  EXPECT_EQ(last["content"], "");
  EXPECT_EQ(last["tokens"], Json::array());
  EXPECT_EQ(last["has_new_line"], true);
  EXPECT_FALSE(end.contains("[DONE]"));
}

TEST(LlamaDialectTest, FieldsOfTheAnswerAreChosenByTheirPaths) {
  const ParsedCall call = Parsed(
      Llama(), R"({"prompt": "hi", "n_predict": 8, "response_fields": ["content", "generation_settings/n_predict", "no/such", "x"]})");
  EXPECT_EQ(Json::parse(call.writer->Whole({LlamaPiece("a", 1)}, LlamaEnd())),
            Json::parse(R"({"content": "a", "generation_settings/n_predict": 8})"));
}

TEST(LlamaDialectTest, NoTokensAtAllComputeThePrompt) {
  for (const bool stream : {false, true}) {
    const ParsedCall call = Parsed(Llama(), With(With(kLeastLlama, "n_predict", "0").c_str(), "stream", stream ? "true" : "false"));
    EXPECT_EQ(call.request.max_tokens, 1);
    EXPECT_EQ(call.writer->StreamDelta(LlamaPiece("a", 1)), "");
    const Json body = Json::parse(call.writer->Whole({LlamaPiece("a", 1)}, LlamaEnd()));
    EXPECT_EQ(body["content"], "");
    EXPECT_EQ(body["tokens_predicted"], 0);
  }
}

TEST(LlamaDialectTest, AGapHasTextsBeforeAndBehindItAndInOtherFiles) {
  const auto infill = Llama(LlamaForm::kInfill);
  const ParsedCall call = Parsed(infill, R"({"input_prefix": "a", "prompt": "b", "input_suffix": "c", "n_predict": 3,
    "input_extra": [{"filename": "x.h", "text": "t"}, {"text": "u"}]})");
  const auto& gap = std::get<GapPrompt>(call.request.prompt);
  EXPECT_EQ(gap.prefix, "ab");
  EXPECT_EQ(gap.suffix, "c");
  ASSERT_EQ(gap.files.size(), 2U);
  EXPECT_EQ(gap.files[1].name, "tmp");
  for (const char* wrong : {"{}", "[{}]", R"([{"filename": 1, "text": "a"}])", R"([{"filename": "a", "text": 1}])"}) {
    EXPECT_EQ(ErrorOf(infill, With(R"({"input_prefix": "a", "input_suffix": "c"})", "input_extra", wrong)).field, "input_extra") << wrong;
  }
  EXPECT_EQ(ErrorOf(infill, R"({"input_prefix": "a"})").field, "input_suffix");
  EXPECT_EQ(HttpStatus(ErrorOf(Llama(LlamaForm::kInfill, false), R"({"input_prefix": "a", "input_suffix": "c"})").code), 501);
}

TEST(LlamaViewsTest, SlotsAreAsManyAsMayRun) {
  ToyTextModel model;
  FakeEngine engine{{}};
  Service service(model, engine, {}, [] {});
  const Backend backend(service, ServerFacts{.card = {.id = "toy"}}, RequestDefaults{.seed = 42});
  const auto no_query = [](const char*) { return std::string(); };
  const Json slots = Json::parse(*LlamaSlotsBody(backend, no_query));
  EXPECT_EQ(slots.size(), static_cast<std::size_t>(service.stats().max_running));
  EXPECT_EQ(slots[0]["is_processing"], false);
  EXPECT_TRUE(LlamaSlotsBody(backend, [](const char*) { return std::string("1"); })) << "places are free";
  const Json props = Json::parse(LlamaPropsBody(backend));
  EXPECT_EQ(props["total_slots"], slots.size());
  EXPECT_EQ(props["default_generation_settings"]["params"]["seed"], 42);
  EXPECT_TRUE(SetLlamaAdaptersBody({}, "[]"));
  for (const char* wrong : {"[{}]", "{}", "x", ""}) EXPECT_FALSE(SetLlamaAdaptersBody({}, wrong)) << wrong;
  EXPECT_EQ(HttpStatus(LlamaSlotsUnkeptBody({}, "").error().code), 501);
}

}  // namespace
}  // namespace cllm
