#include "api/endpoints.h"

#include <string>

#include <gtest/gtest.h>

#include "api/backend.h"
#include "api/testing_json.h"
#include "api/token_endpoints.h"
#include "engine/fake/fake_engine.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

// The answer of a small endpoint that nothing bounds.
template <typename Endpoint>
Result<std::string> Answer(Endpoint endpoint, const TextModel& model, std::string_view body) {
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  Result<ChunkedText> text = endpoint(model, body, WorkLimits{stop, memory, 100});
  if (!text) return std::unexpected(text.error());
  return text->TakeAll();
}

std::string Tokenized(const TextModel& model, std::string_view body) { return Answer(TokenizeBody, model, body).value(); }
std::string Detokenized(const TextModel& model, std::string_view body) { return Answer(DetokenizeBody, model, body).value(); }

ServerFacts Facts() {
  return {.version = "1.2.3",
          .card = {.id = "toy", .created_unix_s = 17},
          .model_path = "models/toy.gguf",
          .model_description = "toy Q4",
          .model_parameters = 100,
          .model_bytes = 50,
          .vocab_size = 256,
          .embedding_size = 8,
          .trained_context = 4096,
          .capabilities = {"completion", "embedding"},
          .engine_name = "fake",
          .kv_bytes_per_token = 10,
          .kv_tokens_capacity = 1000};
}

ServerFacts Called(const char* id) {
  ServerFacts facts;
  facts.card.id = id;
  return facts;
}

ListedModel Listed(const ServerFacts& facts) { return {.facts = facts, .max_context = 2048}; }

TEST(EndpointsTest, HealthIsExact) {
  EXPECT_EQ(HealthBody(Readiness::kHealthy), R"({"data":{"model_loaded":true,"status":"healthy"},"success":true})");
  EXPECT_EQ(HealthBody(Readiness::kLoading), R"({"data":{"model_loaded":false,"status":"loading"},"success":false})");
  EXPECT_EQ(HealthBody(Readiness::kDraining), R"({"data":{"model_loaded":true,"status":"draining"},"success":false})");
  EXPECT_EQ(HealthBody(Readiness::kStalled), R"({"data":{"model_loaded":true,"status":"stalled"},"success":false})");
  EXPECT_EQ(Json::parse(DetailedHealthBody(Readiness::kStalled, Facts(), {}))["data"]["status"], "stalled");
  EXPECT_EQ(Json::parse(DetailedHealthBody(Readiness::kStalled, Facts(), {}))["success"], false);
}

TEST(EndpointsTest, DetailedHealthHasEveryFigure) {
  ServiceStats stats{.accepted = 11,
                     .embedding_requests = 9,
                     .refused = 4,
                     .open_requests = 6,
                     .max_running = 8,
                     .max_open = 20,
                     .loop = {.steps = 5,
                              .computing_ns = 3'000'000'000,
                              .idle_with_work_ns = 1'000'000'000,
                              .prompt_tokens = 70,
                              .cached_prompt_tokens = 7,
                              .generated_tokens = 80,
                              .embeddings = 12,
                              .embedding_tokens = 34,
                              .preemptions = 1,
                              .queued = 2,
                              .running = 3,
                              .kv_tokens = 90,
                              .kv_idle_tokens = 30,
                              .threads = 3}};
  Json body = Json::parse(DetailedHealthBody(Readiness::kHealthy, Facts(), stats));
  EXPECT_GT(body["data"]["memory"]["resident_bytes"].get<std::int64_t>(), 0);
  EXPECT_GT(body["data"]["memory"]["available_bytes"].get<std::int64_t>(), 0);
  body["data"].erase("memory");
  using Unordered = nlohmann::json;
  EXPECT_EQ(Unordered(body), Unordered::parse(R"({"data":{"model_loaded":true,"status":"healthy","version":"1.2.3",
    "model":{"id":"toy","path":"models/toy.gguf","description":"toy Q4","parameters":100,"bytes":50,"trained_context":4096,"capabilities":["completion","embedding"]},
    "engine":{"name":"fake","steps":5,"prompt_tokens":70,"cached_prompt_tokens":7,"generated_tokens":80,"embeddings":12,"embedding_tokens":34,"preemptions":1,"computing_s":3.0,"idle_with_work_s":1.0,
      "threads":3,"idle_with_work_share":0.25},
    "queue":{"running":3,"queued":2,"open":6,"max_running":8,"max_open":20,"accepted":11,"embedding_requests":9,"refused":4},
    "kv":{"tokens":90,"idle_tokens":30,"capacity_tokens":1000,"bytes":900,"capacity_bytes":10000}},"success":true})"));
  EXPECT_EQ(Json::parse(DetailedHealthBody(Readiness::kHealthy, Facts(), {}))["data"]["engine"]["idle_with_work_share"], 0.0);
}

TEST(EndpointsTest, ModelsListTheOne) {
  EXPECT_EQ(Json::parse(ModelsBody({Listed(Facts())})), Json::parse(R"({"object":"list","data":[{"id":"toy","object":"model",
    "created":17,"owned_by":"cllm","capabilities":["completion","embedding"],"meta":{"n_vocab":256,"n_ctx":2048,"n_ctx_train":4096,"n_embd":8,"n_params":100,"size":50}}]})"));
}

// File names on Linux are bytes, not text.
TEST(EndpointsTest, AModelFileWithAStrangeNameIsListed) {
  ServerFacts facts = Facts();
  facts.card.id = "toy\xFF";
  facts.model_path = "models/toy\xFF.gguf";
  EXPECT_NO_THROW(Json::parse(ModelsBody({Listed(facts)})));
  EXPECT_NO_THROW(Json::parse(DetailedHealthBody(Readiness::kHealthy, facts, {})));
  const OpenAiChatDialect chat(facts.card);
  EXPECT_NO_THROW(Parsed(chat, R"({"messages": [{"role": "user", "content": "x"}]})").writer->Whole({{"a", {}}}, GoodEnd()));
}

TEST(EndpointsTest, AModelIsShownAsInTheList) {
  EXPECT_EQ(Json::parse(ModelBody(Listed(Facts()))), Json::parse(ModelsBody({Listed(Facts())}))["data"][0]);
  EXPECT_EQ(Json::parse(ModelsBody({Listed(Facts()), Listed(Called("b"))}))["data"][1]["id"], "b");
}

TEST(EndpointsTest, OfSeveralModelsEachHasItsState) {
  const ServerFacts facts = Facts();
  ListedModel failed = Listed(Called("b"));
  failed.state = ModelState::kFailed;
  failed.problem = "broken";
  failed.waiting = 2;
  const Json data = Json::parse(
      DetailedHealthBody(Readiness::kHealthy, "1.2.3", {Listed(facts), failed}, {{"toy", facts, ServiceStats{.accepted = 11}}}))["data"];
  EXPECT_EQ(data["version"], "1.2.3");
  EXPECT_EQ(data["models"][0]["state"], "loaded");
  EXPECT_EQ(data["models"][0]["queue"]["accepted"], 11);
  EXPECT_EQ(data["models"][1], Json::parse(R"({"id":"b","state":"failed","waiting":2,"problem":"broken"})"));
}

TEST(EndpointsTest, TheIndexNamesTheEndpoints) {
  EXPECT_EQ(IndexBody("1.2.3", {"GET /", "POST /x"}), R"({"name":"cLLM","version":"1.2.3","endpoints":["GET /","POST /x"]})");
}

TEST(EndpointsTest, Tokenize) {
  const ToyTextModel model;
  EXPECT_EQ(Tokenized(model, R"({"content": "abS"})"), R"({"tokens":[97,98]})");
  EXPECT_EQ(Tokenized(model, R"({"content": "abS", "parse_special": false, "add_special": true, "model": "x"})"),
            R"({"tokens":[1,97,98,83]})");
  EXPECT_EQ(Tokenized(model, R"({"content": ""})"), R"({"tokens":[]})");
  EXPECT_EQ(Tokenized(model, R"({"content": "aé", "with_pieces": true})"),
            R"({"tokens":[{"id":97,"piece":"a"},{"id":195,"piece":[195]},{"id":169,"piece":[169]}]})");
}

TEST(EndpointsTest, TokenizeAsVllmHasIt) {
  const ToyTextModel model;
  EXPECT_EQ(Tokenized(model, R"({"model": "m", "prompt": "ab"})"),
            R"({"count":3,"max_model_len":100,"tokens":[1,97,98],"token_strs":null})");
  EXPECT_EQ(Tokenized(model, R"({"prompt": "é", "add_special_tokens": false, "return_token_strs": true})"),
            "{\"count\":2,\"max_model_len\":100,\"tokens\":[195,169],\"token_strs\":[\"\xEF\xBF\xBD\",\"\xEF\xBF\xBD\"]}");
  EXPECT_EQ(Tokenized(model, R"({"messages": [{"role": "user", "content": "ab"}]})"),
            R"({"count":2,"max_model_len":100,"tokens":[97,98],"token_strs":null})");
  EXPECT_FALSE(Answer(TokenizeBody, model, R"({"prompt": "a", "content": "b"})"));
  EXPECT_FALSE(Answer(TokenizeBody, model, R"({"messages": [{"role": "nobody"}]})"));
}

TEST(EndpointsTest, PromptsAreRenderedAsVllmHasIt) {
  const auto rendered = [](const Dialect& dialect, RenderForm form, std::string_view body) {
    const auto endpoint = [&](const TextModel& model, std::string_view text, const WorkLimits& limits) {
      return RenderBody(dialect, form, model, text, limits);
    };
    return Answer(endpoint, ToyTextModel(), body);
  };
  const OpenAiCompletionsDialect completions({.id = "toy"});
  EXPECT_EQ(rendered(completions, RenderForm::kList, R"({"prompt": [[98, 99], "ab"], "max_tokens": 3})"),
            R"([{"token_ids":[98,99],"prompt_token_ids":[98,99],"prompt":"bc"},)"
            R"({"token_ids":[97,98],"prompt_token_ids":[97,98],"prompt":"ab"}])");
  const OpenAiChatDialect chat({.id = "toy"});
  EXPECT_EQ(rendered(chat, RenderForm::kOne, R"({"messages": [{"role": "user", "content": "ab"}]})"),
            R"({"token_ids":[97,98],"prompt_token_ids":[97,98],"prompt":"ab"})");
  EXPECT_EQ(rendered(completions, RenderForm::kList, R"({"prompt": "a", "n": 0})").error().field, "n");
  EXPECT_EQ(rendered(chat, RenderForm::kOne, R"({"messages": []})").error().field, "messages");
}

TEST(EndpointsTest, TokenizeErrorsNameTheirField) {
  const ToyTextModel model;
  struct Case {
    const char* body;
    const char* message;
    const char* field;
  };
  for (const auto& [body, message, field] :
       {Case{"{}", "content is missing (or prompt or messages, as vLLM has it)", "content"},
        {R"({"content": 5})", "content must be a string, not 5", "content"},
        {R"({"content": "x", "add_special": 1})", "add_special must be true or false, not 1", "add_special"},
        {R"({"content": "x", "parse_special": 1})", "parse_special must be true or false, not 1", "parse_special"},
        {R"({"content": "x", "with_pieces": 1})", "with_pieces must be true or false, not 1", "with_pieces"},
        {R"({"content": "x", "add_specials": 1})", "unknown field add_specials: did you mean add_special?", "add_specials"},
        {"[]", "the body must be a JSON object", ""}}) {
    const auto result = Answer(TokenizeBody, model, body);
    ASSERT_FALSE(result) << body;
    EXPECT_EQ(result.error(), (Error{ErrorCode::kInvalidArgument, message, field}));
  }
}

TEST(EndpointsTest, Detokenize) {
  const ToyTextModel model;
  EXPECT_EQ(Detokenized(model, R"({"tokens": [97, 195, 169], "model": "x"})"), R"({"content":"aé","prompt":"aé"})")
      << "both APIs' name for it";
  EXPECT_EQ(Detokenized(model, R"({"tokens": []})"), R"({"content":"","prompt":""})");
  EXPECT_EQ(Detokenized(model, R"({"tokens": [97, 195]})"), "{\"content\":\"a\xEF\xBF\xBD\",\"prompt\":\"a\xEF\xBF\xBD\"}");
}

TEST(EndpointsTest, DetokenizeErrorsNameTheirField) {
  const ToyTextModel model;
  const auto message = [&](const char* body) {
    const auto result = Answer(DetokenizeBody, model, body);
    EXPECT_FALSE(result) << body;
    EXPECT_TRUE(result || result.error().code == ErrorCode::kInvalidArgument) << body;
    return result ? "" : result.error().field + ": " + result.error().message;
  };
  EXPECT_EQ(message("{}"), "tokens: tokens is missing");
  for (const char* body : {R"({"tokens": "x"})", R"({"tokens": [1.5]})", R"({"tokens": [-1]})", R"({"tokens": ["1"]})",
                           R"({"tokens": [2147483648]})", R"({"tokens": {"a": 1}})"}) {
    EXPECT_EQ(message(body), "tokens: tokens must be an array of token ids") << body;
  }
  EXPECT_EQ(message(R"({"tokens": [300]})"), "tokens: no such token") << "the model's own word";
  EXPECT_EQ(message(R"({"token": [1]})"), "tokens: tokens is missing");
  EXPECT_EQ(Detokenized(model, R"({"tokens": [97.0], "wat": 1})"), R"({"content":"a","prompt":"a"})");
}

TEST(EndpointsTest, ABackendHoldsTheDialectsOfItsModel) {
  const ToyTextModel model;
  FakeEngine engine({});
  Service service(model, engine, {}, [] {});
  RequestDefaults defaults;
  defaults.generate_max_tokens = 77;
  const Backend backend(service, Facts(), defaults);
  EXPECT_EQ(Parsed(backend.generate, R"({"prompt": "x"})").request.default_max_tokens, 77);
  EXPECT_FALSE(Parsed(backend.generate, R"({"prompt": "x"})").stream);
  EXPECT_TRUE(Parsed(backend.generate_stream, R"({"prompt": "x"})").stream);
  const ParsedCall call = Parsed(backend.completions, R"({"prompt": "x"})");
  EXPECT_EQ(Json::parse(call.writer->Whole({{"a", {}}}, GoodEnd()))["model"], "toy");
}

TEST(TokenizeTest, EndsWhenItIsNotWantedAnyMore) {
  const StopCheck gone = [] { return Status(Fail(ErrorCode::kCancelled, "gone")); };
  MemoryShare memory;
  const auto result = TokenizeBody(ToyTextModel(), R"({"content": "abc"})", {gone, memory});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST(TokenizeTest, HoldsNoMoreMemoryThanThereIs) {
  const StopCheck wanted = [] { return Status(); };
  const auto budget = std::make_shared<MemoryBudget>(1 << 20);
  const auto code_for = [&](std::size_t letters) {
    MemoryShare memory(budget);
    const auto result =
        TokenizeBody(ToyTextModel(), R"({"with_pieces": true, "content": ")" + std::string(letters, 'a') + "\"}", {wanted, memory});
    return result ? std::optional<ErrorCode>() : result.error().code;
  };
  EXPECT_EQ(code_for(10'000), std::nullopt);
  EXPECT_EQ(code_for(100'000), ErrorCode::kUnavailable) << "20 bytes a token";
  EXPECT_EQ(budget->used(), 0U);
}

}  // namespace
}  // namespace cllm
