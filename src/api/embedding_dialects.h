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
      : model_(std::move(model)), defaults_(std::move(defaults)), embedding_size_(embedding_size) {}
  Result<EmbeddingCall> Parse(std::string_view body, const StopCheck& stop) const override;

 private:
  ModelCard model_;
  RequestDefaults defaults_;
  int embedding_size_;
};

class LlamaEmbeddingDialect : public EmbeddingDialect {
 public:
  LlamaEmbeddingDialect(RequestDefaults defaults, int embedding_size) : defaults_(std::move(defaults)), embedding_size_(embedding_size) {}
  Result<EmbeddingCall> Parse(std::string_view body, const StopCheck& stop) const override;

 private:
  RequestDefaults defaults_;
  int embedding_size_;
};

}  // namespace cllm
