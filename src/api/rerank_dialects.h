// How well texts answer a question: POST /v1/rerank and its other names, in the shape of Jina and llama-server, and vLLM's POST /score.
#pragma once

#include "api/dialect.h"
#include "api/embedding_call.h"
#include "api/request_defaults.h"

namespace cllm {

class RerankDialect : public EmbeddingDialect {
 public:
  RerankDialect(ModelCard model, RequestDefaults defaults) : EmbeddingDialect(std::move(defaults)), model_(std::move(model)) {}

 private:
  Status ReadFields(JsonObject& object, EmbeddingCall& call) const override;
  Json AnswerSchema() const override;

  ModelCard model_;
};

class ScoreDialect : public EmbeddingDialect {
 public:
  ScoreDialect(ModelCard model, RequestDefaults defaults) : EmbeddingDialect(std::move(defaults)), model_(std::move(model)) {}

 private:
  Status ReadFields(JsonObject& object, EmbeddingCall& call) const override;
  Json AnswerSchema() const override;

  ModelCard model_;
};

}  // namespace cllm
