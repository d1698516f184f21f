// What dialects say of themselves is what they do: their readers refuse what their schemas refuse, and know what these know; and what
// they write fits.
#include "api/operation.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/anthropic_dialect.h"
#include "api/cllm_dialect.h"
#include "api/endpoints.h"
#include "api/error_body.h"
#include "api/llama_dialect.h"
#include "api/ollama_dialect.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/responses_dialect.h"
#include "api/schema_words.h"
#include "api/testing_json.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

constexpr const char* kChat = R"({"messages": [{"role": "user", "content": "x"}]})";
constexpr const char* kPrompt = R"({"prompt": "x"})";

struct Described {
  std::shared_ptr<const Dialect> dialect;
  Json least;  // what it needs
};

std::vector<Described> Dialects(const RequestDefaults& defaults = {}) {
  const ModelCard card{.id = "toy", .created_unix_s = 1, .fingerprint = "f"};
  return {{std::make_shared<CllmDialect>(CllmDialect::Endpoint::kGenerate, defaults), Json::parse(kPrompt)},
          {std::make_shared<CllmDialect>(CllmDialect::Endpoint::kGenerateStream, defaults), Json::parse(kPrompt)},
          {std::make_shared<OpenAiCompletionsDialect>(card, defaults), Json::parse(kPrompt)},
          {std::make_shared<OpenAiChatDialect>(card, defaults), Json::parse(kChat)},
          {std::make_shared<ResponsesDialect>(card, defaults, std::make_shared<ResponseStore>(ResponseStoreOptions{})),
           Json::parse(R"({"input": "x"})")},
          {std::make_shared<AnthropicDialect>(card, defaults), Json::parse(kChat)},
          {std::make_shared<OllamaDialect>(OllamaForm::kChat, defaults, 100), Json::parse(kChat)},
          {std::make_shared<OllamaDialect>(OllamaForm::kGenerate, defaults, 100), Json::parse(kPrompt)},
          {std::make_shared<LlamaDialect>(LlamaForm::kCompletion, LlamaDialect::Model{.card = card}, defaults), Json::parse(kPrompt)},
          {std::make_shared<LlamaDialect>(LlamaForm::kInfill, LlamaDialect::Model{.card = card, .knows_gaps = true}, defaults),
           Json::parse(R"({"input_prefix": "a", "input_suffix": "b"})")}};
}

SchemaValidator ValidatorOf(const Json& schema) {
  Result<SchemaValidator> validator = SchemaValidator::Compile(schema);
  EXPECT_TRUE(validator) << validator.error().message;
  return std::move(validator.value());
}

// Fields of which a value may have the right shape and still be refused for what it says, or beside what else is there.
const std::set<std::string> kJudgedByMeaning = {"tools",
                                                "functions",
                                                "tool_choice",
                                                "function_call",
                                                "samplers",
                                                "top_logprobs",
                                                "guided_json",
                                                "json_schema",
                                                "guided_grammar",
                                                "grammar",
                                                "ebnf",
                                                "regex",
                                                "guided_regex",
                                                "structured_outputs",
                                                "input",
                                                "continue_final_message",
                                                "previous_response_id",
                                                "text",
                                                "response_format",
                                                "output_format",
                                                "format",
                                                "messages",
                                                "best_of",
                                                "n",
                                                "prompt"};

std::vector<Json> Probes() {
  std::vector<Json> probes;
  for (const char* text : {"true",
                           "false",
                           "0",
                           "1",
                           "-1",
                           "-2",
                           "0.5",
                           "3",
                           "21",
                           "129",
                           "1e30",
                           "-9223372036854775808",
                           "\"\"",
                           "\"x\"",
                           "\"auto\"",
                           "\"text\"",
                           "\"none\"",
                           "[]",
                           "{}",
                           "[1]",
                           "[-1]",
                           "[\"x\"]",
                           "[[]]",
                           "[[1]]",
                           "[{}]",
                           "[null]",
                           R"({"a": 1})",
                           R"({"1": 1})",
                           R"({"1": 101})",
                           R"({"type": "text"})",
                           R"({"type": "json_schema"})",
                           R"({"type": "function"})",
                           R"([{"role": "user"}])",
                           R"([{"role": "user", "content": [{"type": "text"}]}])",
                           R"([{"type": "function"}])",
                           R"([{"type": "function", "function": {}}])",
                           R"({"include_usage": 1})",
                           R"({"effort": 1})",
                           R"({"enabled": "x"})",
                           R"({"json": 1})",
                           R"({"choice": []})",
                           R"({"format": {}})",
                           R"({"format": {"type": "x"}})",
                           R"([{"type": "message", "role": "tool", "content": "x"}])",
                           R"([{"role": "assistant", "content": "x", "tool_calls": [{"function": {}}]}])"}) {
    probes.push_back(Json::parse(text));
  }
  return probes;
}

// Some repeat it in each event of a stream.
TEST(OperationTest, NoDialectTakesANameOfAModelOfAnyLength) {
  for (const Described& described : Dialects()) {
    const auto with_model = [&](std::size_t bytes) {
      Json body = described.least;
      body["model"] = std::string(bytes, 'x');
      return described.dialect->Parse(body.dump(), {});
    };
    if (!with_model(1)) continue;  // cLLM's own knows none
    EXPECT_TRUE(with_model(1024));
    const auto refused = with_model(1025);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "model must have at most 1024 bytes");
  }
}

TEST(OperationTest, WhatASchemaRefusesItsReaderRefuses) {
  for (const auto& [dialect, least] : Dialects()) {
    const Json schema = dialect->Describe().request;
    const SchemaValidator validator = ValidatorOf(schema);
    for (const auto& property : schema["properties"].items()) {
      for (const Json& probe : Probes()) {
        Json body = least;
        body[property.key()] = probe;
        const Status fits = validator.Validate(body);
        const Result<ParsedCall> call = dialect->Parse(Dump(body));
        if (!fits) {
          EXPECT_FALSE(call) << Dump(body) << " should not be let in: " << fits.error().message;
        } else if (!kJudgedByMeaning.contains(property.key())) {
          EXPECT_TRUE(call) << Dump(body) << " should be let in: " << call.error().message;
        }
      }
    }
  }
}

TEST(OperationTest, NullIsAbsentWhereAFieldNeedNotBeThere) {
  for (const auto& [dialect, least] : Dialects()) {
    const Json schema = dialect->Describe().request;
    const SchemaValidator validator = ValidatorOf(schema);
    for (const auto& property : schema["properties"].items()) {
      Json body = least;
      body[property.key()] = nullptr;
      EXPECT_EQ(validator.Validate(body).has_value(), dialect->Parse(Dump(body)).has_value()) << property.key();
    }
  }
}

TEST(OperationTest, FieldsOfPeersAreInTheSchema) {
  const auto dialects = Dialects();
  const auto expect_all = [&](std::size_t dialect, const KnownFields& fields) {
    const Json schema = dialects[dialect].dialect->Describe().request;
    const SchemaValidator validator = ValidatorOf(schema);
    std::string patterns;
    for (const auto& item : schema["patternProperties"].items()) patterns += item.key();
    fields.ForEach([&](const KnownField& field) {
      EXPECT_TRUE(schema["properties"].contains(field.name) || patterns.find(field.name) != std::string::npos) << field.name;
      if (schema["properties"].contains(field.name)) return;
      Json body = dialects[dialect].least;
      body[field.name] = "something that there is not";
      EXPECT_EQ(validator.Validate(body).has_value(), dialects[dialect].dialect->Parse(Dump(body)).has_value()) << field.name;
    });
  };
  expect_all(2, CompletionFields());
  expect_all(3, ChatFields());
  expect_all(4, ResponseFields());
  expect_all(5, AnthropicFields());
  expect_all(6, OllamaFields());
  expect_all(8, CompletionFields());
  expect_all(9, CompletionFields());
}

TEST(OperationTest, WhetherUnknownFieldsAreLetInIsSaid) {
  const auto closed = [](const Described& described) { return described.dialect->Describe().request.contains("additionalProperties"); };
  EXPECT_TRUE(closed(Dialects()[0]));
  EXPECT_FALSE(closed(Dialects()[3]));
  EXPECT_TRUE(closed(Dialects({.unknown_fields = "reject"})[3]));
  const Json messages = Dialects({.unknown_fields = "reject"})[3].dialect->Describe().request["properties"]["messages"];
  EXPECT_EQ(messages["items"]["anyOf"][0]["additionalProperties"], false) << "in objects inside as well";
}

TextDelta Delta() {
  TextDelta delta{.text = "a"};
  delta.reasoning = "r";
  TokenText token;
  token.bytes = "a";
  token.token.logprob = -1;
  token.token.top.push_back({1, -1.0F});
  token.top_bytes.push_back("\xFF");
  delta.tokens.push_back(token);
  return delta;
}

TextDelta CallDelta() {
  TextDelta delta;
  delta.calls.push_back({.text = "{}", .call = 0, .call_id = "call_1", .call_name = "f"});
  return delta;
}

void ExpectFits(const SchemaValidator& validator, const std::string& text) {
  const Status fits = validator.Validate(Json::parse(text));
  EXPECT_TRUE(fits) << text << ": " << (fits ? "" : fits.error().message);
}

// The data of the frames of a stream, whatever event they are; or its lines.
std::vector<std::string> DataOf(std::string_view stream) {
  std::vector<std::string> all;
  if (stream.starts_with('{')) {
    for (std::size_t at = 0; at < stream.size(); at = stream.find('\n', at) + 1) {
      all.emplace_back(stream.substr(at, stream.find('\n', at) - at));
    }
    return all;
  }
  for (std::size_t at = stream.find("data: "); at != std::string_view::npos; at = stream.find("\ndata: ", at)) {
    at = stream.find("data: ", at) + 6;
    all.emplace_back(stream.substr(at, stream.find('\n', at) - at));
  }
  std::erase(all, "[DONE]");
  return all;
}

TEST(OperationTest, AnswersFitTheirSchemas) {
  for (auto& [dialect, least] : Dialects()) {
    const Operation operation = dialect->Describe();
    for (const char* more :
         {"{}", R"({"logprobs": 2})", R"({"logprobs": true, "top_logprobs": 2})", R"({"stream_options": {"include_usage": true}})",
          R"({"functions": [{"name": "f"}]})", R"({"return_raw": true})", R"({"n_probs": 2, "return_tokens": true})",
          R"({"response_fields": ["content", "timings/predicted_n"]})",
          R"({"include": ["message.output_text.logprobs"], "top_logprobs": 1})",
          R"({"reasoning": {"effort": "low"}, "metadata": {"a": "b"}})"}) {
      for (const bool stream : {false, true}) {
        Json body = least;
        body.update(Json::parse(more));
        body["stream"] = stream;
        Result<ParsedCall> call = dialect->Parse(Dump(body));
        if (!call) continue;
        GenerationEnd end = GoodEnd();
        end.cut_max_tokens = 5;
        if (!stream) {
          TextDelta answer = Delta();
          answer.calls = CallDelta().calls;
          ExpectFits(ValidatorOf(operation.answer), call->writer->Whole({answer}, end));
          continue;
        }
        const SchemaValidator frames = ValidatorOf(operation.frame);
        std::string text = call->writer->StreamDelta(Delta()) + call->writer->StreamDelta(CallDelta()) + call->writer->StreamEnd(end);
        text += Parsed(*dialect, Dump(body)).writer->StreamEnd(BadEnd());
        EXPECT_GE(DataOf(text).size(), 3U);
        for (const std::string& data : DataOf(text)) ExpectFits(frames, data);
      }
    }
  }
}

TEST(OperationTest, ErrorsFitTheirSchemas) {
  for (const Error& error : {Error{ErrorCode::kInvalidArgument, "m", "f"}, Error{ErrorCode::kInternal, "m", {}}}) {
    for (const ErrorFamily family : kErrorFamilies) ExpectFits(ValidatorOf(ErrorBodySchema(family)), ErrorBody(family, error));
  }
}

TEST(OperationTest, EndpointsFitTheirSchemas) {
  ServerFacts facts;
  facts.version = "1";
  ExpectFits(ValidatorOf(DescribeIndex().answer), IndexBody("1", {"GET /"}));
  ExpectFits(ValidatorOf(DescribeLive().answer), LiveBody());
  ExpectFits(ValidatorOf(DescribeReady().answer), HealthBody(Readiness::kStalled));
  ExpectFits(ValidatorOf(DescribeHealth().answer), HealthBody(Readiness::kLoading));
  ExpectFits(ValidatorOf(DescribeHealth().answer), DetailedHealthBody(Readiness::kHealthy, facts, ServiceStats{}));
  const ListedModel model{
      .facts = facts, .max_context = 1, .state = ModelState::kFailed, .problem = "x", .needed_bytes = 1, .seconds_left = 1};
  ExpectFits(ValidatorOf(DescribeHealth().answer),
             DetailedHealthBody(Readiness::kHealthy, "1", {model}, {{facts.card.id, facts, ServiceStats{}}}));
  ExpectFits(ValidatorOf(DescribeModels().answer), ModelsBody({model}));
  ExpectFits(ValidatorOf(DescribeModel().answer), ModelBody(model));
}

}  // namespace
}  // namespace cllm
