// OpenAI's POST /v1/embeddings, and llama-server's POST /embedding and /embeddings.
#pragma once

#include "api/dialect.h"
#include "api/embedding_call.h"
#include "api/request_defaults.h"

namespace cllm {

class OpenAiEmbeddingDialect : public EmbeddingDialect {
 public:
  // `embedding_size`: of the served model; 0: it gives none.
  OpenAiEmbeddingDialect(ModelCard model, RequestDefaults defaults, int embedding_size)
      : EmbeddingDialect(std::move(defaults)), model_(std::move(model)), embedding_size_(embedding_size) {}

 private:
  Status ReadFields(JsonObject& object, EmbeddingCall& call) const override;
  Json AnswerSchema() const override;

  ModelCard model_;
  int embedding_size_;
};

class LlamaEmbeddingDialect : public EmbeddingDialect {
 public:
  LlamaEmbeddingDialect(RequestDefaults defaults, int embedding_size)
      : EmbeddingDialect(std::move(defaults)), embedding_size_(embedding_size) {}

 private:
  Status ReadFields(JsonObject& object, EmbeddingCall& call) const override;
  Json AnswerSchema() const override;

  int embedding_size_;
};

}  // namespace cllm
