#include "api/rerank_dialects.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "api/embedding_fields.h"
#include "api/embedding_output.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

// Between 0 and 1. A classifier of one number gives the logarithm of the odds; one of several gives their shares already.
double ScoreOf(const std::vector<float>& outputs, bool is_raw) {
  const double score = outputs.front();
  return is_raw || outputs.size() > 1 ? score : 1 / (1 + std::exp(-score));
}

std::string Usage(const EmbeddingAnswer& answer) {
  return fmt::format(R"("usage":{{"prompt_tokens":{},"total_tokens":{}}})", answer.prompt_tokens, answer.prompt_tokens);
}

Json ScoreUsageSchema() { return words::Record({{"prompt_tokens", words::Integer()}, {"total_tokens", words::Integer()}}); }

struct RerankForm {
  std::size_t most = 0;
  bool is_raw = false;
  bool is_tei = false;                      // a list and nothing around it, as text-embeddings-inference has it
  std::vector<std::string> documents = {};  // where they are to be returned
};

class RerankWriter : public EmbeddingWriter {
 public:
  RerankWriter(std::string model, RerankForm form) : model_(std::move(model)), form_(std::move(form)) {}

  Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) override {
    std::vector<std::size_t> order(answer.embeddings.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return answer.embeddings[i].front(); });
    order.resize(std::min(order.size(), form_.most));
    EmbeddingOutput output(limits);
    if (!form_.is_tei) {
      output.Add(fmt::format(R"({{"id":"rerank-{}","model":{},"object":"list",{},"results":)", RandomHexId(), Dump(model_), Usage(answer)));
    }
    output.Add("[");
    for (std::size_t place = 0; place < order.size(); ++place) {
      const std::size_t i = order[place];
      output.Add(fmt::format(R"({}{{"index":{},"{}":{})", place > 0 ? "," : "", i, form_.is_tei ? "score" : "relevance_score",
                             ScoreOf(answer.embeddings[i], form_.is_raw)));
      if (!form_.documents.empty()) AddDocument(output, form_.documents[i]);
      output.Add("}");
      if (Status status = output.Check(); !status) return std::unexpected(status.error());
    }
    output.Add(form_.is_tei ? "]" : "]}");
    return output.Take();
  }

 private:
  void AddDocument(EmbeddingOutput& output, const std::string& document) const {
    output.Add(form_.is_tei ? fmt::format(R"(,"text":{})", Dump(document)) : fmt::format(R"(,"document":{{"text":{}}})", Dump(document)));
  }

  std::string model_;
  RerankForm form_;
};

class ScoreWriter : public EmbeddingWriter {
 public:
  ScoreWriter(std::string model, bool is_raw) : model_(std::move(model)), is_raw_(is_raw) {}

  Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) override {
    EmbeddingOutput output(limits);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    output.Add(fmt::format(R"({{"id":"score-{}","object":"list","created":{},"model":{},{},"data":[)", RandomHexId(),
                           std::chrono::duration_cast<std::chrono::seconds>(now).count(), Dump(model_), Usage(answer)));
    for (std::size_t i = 0; i < answer.embeddings.size(); ++i) {
      output.Add(
          fmt::format(R"({}{{"index":{},"object":"score","score":{}}})", i > 0 ? "," : "", i, ScoreOf(answer.embeddings[i], is_raw_)));
    }
    output.Add("]}");
    if (Status status = output.Check(); !status) return std::unexpected(status.error());
    return output.Take();
  }

 private:
  std::string model_;
  bool is_raw_;
};

// A string, or an object with one in `text`.
std::optional<std::string> TextOf(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_object() || json.size() != 1) return std::nullopt;
  const auto text = json.find("text");
  return text != json.end() && text->is_string() ? std::optional(text->get<std::string>()) : std::nullopt;
}

// As ReadTextList reads it.
Json TextListSchema() {
  const Json text = words::Text(1, std::numeric_limits<std::int32_t>::max());
  const Json one = words::AnyOf({text, words::Record({{"text", text}})});
  return words::AnyOf({one, words::ListOf(one, 1, kMostTexts)});
}

// One text, or a list of them, where they are there.
std::vector<std::string> ReadTextList(JsonObject& object, const char* name) {
  std::vector<std::string> texts;
  const Json* json = object.Any(name, TextListSchema);
  if (json == nullptr) return texts;
  const bool is_list = json->is_array();
  const std::size_t count = is_list ? json->size() : 1;
  if (count == 0 || count > kMostTexts) object.Reject(name, fmt::format("{} has {} entries, it may have 1 to {}", name, count, kMostTexts));
  for (std::size_t i = 0; i < std::min(count, kMostTexts); ++i) {
    auto text = TextOf(is_list ? (*json)[i] : *json);
    const std::string place = is_list ? fmt::format("{}[{}]", name, i) : name;
    if (!text) object.Reject(name, fmt::format("{} must be a string, or an object with one in text", place));
    if (text && text->empty()) object.Reject(name, fmt::format("{} is empty", place));
    texts.push_back(std::move(text).value_or(""));
  }
  return texts;
}

void ReadRerankFields(JsonObject& object, EmbeddingRequest& request, RerankForm& form) {
  object.Any("query", [] { return words::Text(1, std::numeric_limits<std::int32_t>::max()); });
  object.Require("query");
  const auto query = object.String("query");
  if (query && query->empty()) object.Reject("query", "query is empty");
  object.RequireOneOf({"documents", "texts"}, "documents is missing");
  std::vector<std::string> documents = ReadTextList(object, "documents");
  form.is_tei = object.Has("texts");
  if (form.is_tei && !documents.empty()) object.Reject("documents", "documents and texts are two names of one field");
  if (std::vector<std::string> texts = ReadTextList(object, "texts"); form.is_tei) documents = std::move(texts);
  request.field = form.is_tei ? "texts" : "documents";
  request.is_list = true;
  const bool returns_documents = object.Bool("return_documents").value_or(false);
  const bool returns_text = object.Bool("return_text").value_or(false);
  if (form.is_tei ? returns_text : returns_documents) form.documents = documents;
  const auto shared_query = std::make_shared<const std::string>(query.value_or(""));
  for (std::string& document : documents) {
    request.texts.emplace_back(TextPair(shared_query, std::make_shared<const std::string>(std::move(document))));
  }
  form.most = static_cast<std::size_t>(object.Int("top_n", 1, INT32_MAX).value_or(INT32_MAX));
  form.is_raw = object.Bool("raw_scores").value_or(false);
}

std::vector<std::shared_ptr<const std::string>> Shared(std::vector<std::string> texts) {
  std::vector<std::shared_ptr<const std::string>> shared;
  for (std::string& text : texts) shared.push_back(std::make_shared<const std::string>(std::move(text)));
  return shared;
}

// One to many, many to one, or one to one.
void ReadPairs(JsonObject& object, EmbeddingRequest& request) {
  for (const char* name : {"text_1", "text_2"}) object.Require(name);
  const std::vector<std::shared_ptr<const std::string>> first = Shared(ReadTextList(object, "text_1"));
  const std::vector<std::shared_ptr<const std::string>> second = Shared(ReadTextList(object, "text_2"));
  if (first.size() != second.size() && first.size() != 1 && second.size() != 1) {
    object.Reject("text_2", fmt::format("text_1 has {} texts and text_2 {}: one of them must have one, or both as many", first.size(),
                                        second.size()));
    return;
  }
  request.field = second.size() == 1 && first.size() > 1 ? "text_1" : "text_2";
  request.is_list = std::max(first.size(), second.size()) > 1;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()) && !first.empty() && !second.empty(); ++i) {
    request.texts.emplace_back(TextPair(first[first.size() == 1 ? 0 : i], second[second.size() == 1 ? 0 : i]));
  }
}

}  // namespace

Status RerankDialect::ReadFields(JsonObject& object, EmbeddingCall& call) const {
  RerankForm form;
  ReadRerankFields(object, call.request, form);
  ReadModelName(object);
  ReadEmbeddingLimits(object, call.request);
  call.writer = std::make_unique<RerankWriter>(model_.id, std::move(form));
  return object.Finish(RerankFields());
}

Status ScoreDialect::ReadFields(JsonObject& object, EmbeddingCall& call) const {
  ReadPairs(object, call.request);
  const bool is_raw = object.Bool("raw_scores").value_or(false);
  ReadModelName(object);
  ReadEmbeddingLimits(object, call.request);
  call.writer = std::make_unique<ScoreWriter>(model_.id, is_raw);
  return object.Finish(RerankFields());
}

Json RerankDialect::AnswerSchema() const {
  const Json document = words::Record({{"text", words::String()}});
  const Json result = words::Record({{"index", words::Integer()}, {"relevance_score", words::Number()}}, {{"document", document}});
  const Json tei = words::Record({{"index", words::Integer()}, {"score", words::Number()}}, {{"text", words::String()}});
  const Json whole = words::Record({{"id", words::String()},
                                    {"model", words::String()},
                                    {"object", words::Const("list")},
                                    {"usage", ScoreUsageSchema()},
                                    {"results", words::ListOf(result)}});
  return words::AnyOf({whole, words::ListOf(tei)});
}

Json ScoreDialect::AnswerSchema() const {
  const Json entry = words::Record({{"index", words::Integer()}, {"object", words::Const("score")}, {"score", words::Number()}});
  return words::Record({{"id", words::String()},
                        {"object", words::Const("list")},
                        {"created", words::Integer()},
                        {"model", words::String()},
                        {"usage", ScoreUsageSchema()},
                        {"data", words::ListOf(entry)}});
}

}  // namespace cllm
