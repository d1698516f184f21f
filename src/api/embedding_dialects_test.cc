#include "api/embedding_dialects.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/embedding_fields.h"
#include "api/json_object.h"
#include "api/rerank_dialects.h"

namespace cllm {
namespace {

constexpr int kModelSize = 4;
const ModelCard kServedModel{.id = "toy"};

const OpenAiEmbeddingDialect kOpenAiDialect(kServedModel, {}, kModelSize);
const LlamaEmbeddingDialect kLlamaDialect({}, kModelSize);
const RerankDialect kRerank(kServedModel, {});
const ScoreDialect kScore(kServedModel, {});

EmbeddingCall ReadTextsOf(const EmbeddingDialect& dialect, std::string_view body) {
  auto call = dialect.Parse(body);
  EXPECT_TRUE(call) << body << ": " << (call ? "" : call.error().message);
  return call ? std::move(*call) : EmbeddingCall{};
}

Error Refusal(const EmbeddingDialect& dialect, std::string_view body) {
  const auto call = dialect.Parse(body);
  EXPECT_FALSE(call) << body;
  return call ? Error{} : call.error();
}

Json Answered(const EmbeddingDialect& dialect, std::string_view body, std::vector<std::vector<float>> embeddings) {
  EmbeddingCall call = ReadTextsOf(dialect, body);
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  auto text = call.writer->Write({.embeddings = std::move(embeddings), .prompt_tokens = 9}, {stop, memory});
  EXPECT_TRUE(text);
  return text ? Json::parse(text->TakeAll()) : Json();
}

using Ids = std::vector<TokenId>;

TEST(OpenAiEmbeddingTest, EveryShapeOfInputIsRead) {
  using Texts = std::vector<EmbeddingText>;
  const auto texts = [](std::string_view input) {
    const EmbeddingCall call = ReadTextsOf(kOpenAiDialect, R"({"input":)" + std::string(input) + "}");
    Texts read;
    for (const EmbeddingText& text : call.request.texts) read.push_back(text);
    return std::pair(call.request.is_list, read.size());
  };
  EXPECT_EQ(texts(R"("a text")"), std::pair(false, std::size_t{1}));
  EXPECT_EQ(texts("[1, 2, 3]"), std::pair(false, std::size_t{1}));
  EXPECT_EQ(texts(R"(["a", "b"])"), std::pair(true, std::size_t{2}));
  EXPECT_EQ(texts(R"([[1, 2], [3], "b"])"), std::pair(true, std::size_t{3}));
  const EmbeddingCall call = ReadTextsOf(kOpenAiDialect, R"({"input":[[1, 2], "b"]})");
  EXPECT_EQ(std::get<Ids>(call.request.texts[0]), (Ids{1, 2}));
  EXPECT_EQ(std::get<std::string>(call.request.texts[1]), "b");
}

TEST(OpenAiEmbeddingTest, AWrongInputIsNamed) {
  const auto message = [](std::string_view input) { return Refusal(kOpenAiDialect, R"({"input":)" + std::string(input) + "}").message; };
  EXPECT_EQ(message(R"("")"), "input is empty");
  EXPECT_EQ(message("[]"), "input is empty");
  EXPECT_EQ(message(R"(["a", ""])"), "input[1] is empty");
  EXPECT_EQ(message(R"([[1], []])"), "input[1] is empty");
  EXPECT_EQ(message("7"), "input must be a string or an array of token ids");
  EXPECT_EQ(message(R"([1, "a"])"), "input must be a string or an array of token ids");
  EXPECT_EQ(message(R"([[1, -2]])"), "input[0] must be a string or an array of token ids");
  EXPECT_EQ(Refusal(kOpenAiDialect, "{}"), (Error{ErrorCode::kInvalidArgument, "input is missing", "input"}));
  Json many = Json::array();
  for (int i = 0; i < 2049; ++i) many.push_back("a");
  EXPECT_EQ(message(many.dump()), "input has 2049 entries, more than 2048");
}

TEST(OpenAiEmbeddingTest, AnAnswerIsNormalisedAndCounted) {
  const Json answer = Answered(kOpenAiDialect, R"({"input":["a","b"],"model":"any","user":"me"})", {{3, 4, 0, 0}, {0, 0, 0, 2}});
  EXPECT_EQ(answer, Json::parse(R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8,0,0]},
      {"object":"embedding","index":1,"embedding":[0,0,0,1]}],"model":"toy","usage":{"prompt_tokens":9,"total_tokens":9}})"));
}

TEST(OpenAiEmbeddingTest, Base64HasTheSameNumbers) {
  const Json answer = Answered(kOpenAiDialect, R"({"input":"a","encoding_format":"base64"})", {{3, 4, 0, 0}});
  EXPECT_EQ(answer["data"][0]["embedding"], "mpkZP83MTD8AAAAAAAAAAA==");  // 0.6, 0.8, 0, 0 of 32 bits each
}

TEST(OpenAiEmbeddingTest, DimensionsCutAndNormaliseAnew) {
  const Json answer = Answered(kOpenAiDialect, R"({"input":"a","dimensions":2})", {{3, 4, 12, 84}});
  EXPECT_EQ(answer["data"][0]["embedding"], Json::parse("[0.6,0.8]"));
  EXPECT_EQ(Refusal(kOpenAiDialect, R"({"input":"a","dimensions":5})").field, "dimensions");
  EXPECT_EQ(Refusal(kOpenAiDialect, R"({"input":"a","dimensions":0})").field, "dimensions");
}

TEST(OpenAiEmbeddingTest, HowTextsAreCutIsRead) {
  const auto read = [](std::string_view fields) {
    return ReadTextsOf(kOpenAiDialect, R"({"input":"a",)" + std::string(fields) + "}").request;
  };
  EXPECT_EQ(ReadTextsOf(kOpenAiDialect, R"({"input":"a"})").request.most_tokens, std::nullopt);
  EXPECT_EQ(read(R"("truncate_prompt_tokens":7)").most_tokens, 7);
  EXPECT_EQ(read(R"("truncate_prompt_tokens":-1)").most_tokens, kUntilTextEnd);
  EXPECT_EQ(read(R"("truncate":true)").most_tokens, kUntilTextEnd);
  EXPECT_EQ(read(R"("truncate":false)").most_tokens, std::nullopt);
  EXPECT_TRUE(read(R"("truncate":"START")").cuts_front);
  EXPECT_TRUE(read(R"("truncate_prompt_tokens":7,"truncation_side":"left")").cuts_front);
  EXPECT_EQ(read(R"("priority":3,"timeout":2.5)").priority, 3);
  for (const char* wrong : {R"("truncate_prompt_tokens":0)", R"("truncate":"middle")", R"("truncation_side":"up")"}) {
    Refusal(kOpenAiDialect, R"({"input":"a",)" + std::string(wrong) + "}");
  }
}

TEST(OpenAiEmbeddingTest, WhatIsKnownIsRefusedOrAsksForNothingAndTheRestIsNamed) {
  EXPECT_TRUE(Refusal(kOpenAiDialect, R"({"input":"a","messages":[]})").message.contains("input"));
  EXPECT_EQ(Refusal(kOpenAiDialect, R"({"input":"a","input_type":"query"})").field, "input_type");
  EXPECT_EQ(Refusal(kOpenAiDialect, R"({"input":"a","encoding_format":"int8"})").field, "encoding_format");
  EXPECT_EQ(Refusal(kOpenAiDialect, R"({"input":"a","dimension":2})").field, "dimension");  // misspelt
  EXPECT_EQ(ReadTextsOf(kOpenAiDialect, R"({"input":"a","something_new":1})").ignored_fields, std::vector<std::string>{"something_new"});
}

TEST(FormedTest, EveryNormOfLlamaServer) {
  const std::vector<float> numbers{3, -4};
  EXPECT_EQ(Formed(numbers, {.normalize = -1}), numbers);
  EXPECT_EQ(Formed(numbers, {.normalize = 0}), (std::vector<float>{24570, -32760}));
  EXPECT_EQ(Formed(numbers, {.normalize = 1}), (std::vector<float>{3.0F / 7, -4.0F / 7}));
  EXPECT_EQ(Formed(numbers, {.normalize = 2}), (std::vector<float>{0.6F, -0.8F}));
  EXPECT_NEAR(Formed(numbers, {.normalize = 3})[0], 3 / std::cbrt(91.0), 1e-6);
  EXPECT_EQ(Formed({0, 0}, {}), (std::vector<float>{0, 0}));
}

TEST(LlamaEmbeddingTest, HasAListInTheList) {
  const Json expected = Json::parse(R"([{"index":0,"embedding":[[0.6,0.8]]},{"index":1,"embedding":[[0,1]]}])");
  EXPECT_EQ(Answered(kLlamaDialect, R"({"content":["a","b"]})", {{3, 4}, {0, 5}}), expected);
  EXPECT_EQ(Answered(kLlamaDialect, R"({"input":["a","b"]})", {{3, 4}, {0, 5}}), expected);
  EXPECT_EQ(Answered(kLlamaDialect, R"({"content":"a","embd_normalize":-1})", {{3, 4}}),
            Json::parse(R"([{"index":0,"embedding":[[3,4]]}])"));
  EXPECT_EQ(Refusal(kLlamaDialect, "{}").field, "input");
}

TEST(RerankTest, TheBestComeFirst) {
  const Json answer = Answered(kRerank, R"({"query":"q","documents":["a",{"text":"b"},"c"],"top_n":2})", {{-1}, {2}, {0}});
  EXPECT_EQ(answer["usage"], Json::parse(R"({"prompt_tokens":9,"total_tokens":9})"));
  EXPECT_EQ(answer["model"], "toy");
  ASSERT_EQ(answer["results"].size(), 2U);
  EXPECT_EQ(answer["results"][0]["index"], 1);
  EXPECT_NEAR(answer["results"][0]["relevance_score"].get<double>(), 1 / (1 + std::exp(-2.0)), 1e-12);
  EXPECT_EQ(answer["results"][1], Json::parse(R"({"index":2,"relevance_score":0.5})"));
}

TEST(RerankTest, DocumentsComeBackWhereTheyAreWanted) {
  const Json answer = Answered(kRerank, R"({"query":"q","documents":["a \"b\""],"return_documents":true,"raw_scores":true})", {{-3}});
  EXPECT_EQ(answer["results"], Json::parse(R"([{"index":0,"relevance_score":-3,"document":{"text":"a \"b\""}}])"));
}

TEST(RerankTest, TheFirstOfSeveralSharesIsTheScore) {
  EXPECT_EQ(Answered(kRerank, R"({"query":"q","documents":["a"]})", {{0.75, 0.25}})["results"][0]["relevance_score"], 0.75);
}

TEST(RerankTest, TextsAreAnsweredAsTheirServerDoes) {
  EXPECT_EQ(Answered(kRerank, R"({"query":"q","texts":["a","b"],"return_text":true,"raw_scores":true})", {{1}, {2}}),
            Json::parse(R"([{"index":1,"score":2,"text":"b"},{"index":0,"score":1,"text":"a"}])"));
}

TEST(RerankTest, AWrongFieldIsNamed) {
  EXPECT_EQ(Refusal(kRerank, R"({"documents":["a"]})").field, "query");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"","documents":["a"]})").field, "query");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q"})").field, "documents");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q","documents":[]})").field, "documents");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q","documents":["a",7]})").message,
            "documents[1] must be a string, or an object with one in text");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q","documents":["a",""]})").message, "documents[1] is empty");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q","documents":["a"],"top_n":0})").field, "top_n");
  EXPECT_EQ(Refusal(kRerank, R"({"query":"q","documents":["a"],"texts":["a"]})").field, "documents");
}

TEST(ScoreTest, OneToManyManyToOneAndOneToOne) {
  const auto pairs = [](std::string_view body) {
    std::vector<std::string> read;
    for (const EmbeddingText& text : ReadTextsOf(kScore, body).request.texts) {
      read.push_back(*std::get<TextPair>(text).query + ">" + *std::get<TextPair>(text).document);
    }
    return read;
  };
  using Pairs = std::vector<std::string>;
  EXPECT_EQ(pairs(R"({"text_1":"a","text_2":"b"})"), (Pairs{"a>b"}));
  EXPECT_EQ(pairs(R"({"text_1":"a","text_2":["b","c"]})"), (Pairs{"a>b", "a>c"}));
  EXPECT_EQ(pairs(R"({"text_1":["a","b"],"text_2":["c","d"]})"), (Pairs{"a>c", "b>d"}));
  EXPECT_EQ(Refusal(kScore, R"({"text_1":["a","b"],"text_2":["c","d","e"]})").field, "text_2");
  const Json answer = Answered(kScore, R"({"text_1":"a","text_2":["b","c"],"raw_scores":true})", {{1}, {2}});
  EXPECT_EQ(answer["data"], Json::parse(R"([{"index":0,"object":"score","score":1},{"index":1,"object":"score","score":2}])"));
}

}  // namespace
}  // namespace cllm
