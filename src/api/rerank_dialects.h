// How well texts answer a question: POST /v1/rerank and its other names, in the shape of Jina and llama-server, and vLLM's POST /score.
#pragma once

#include "api/dialect.h"
#include "api/embedding_call.h"
#include "api/request_defaults.h"

namespace cllm {

class RerankDialect : public EmbeddingDialect {
 public:
  RerankDialect(ModelCard model, RequestDefaults defaults) : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<EmbeddingCall> Parse(std::string_view body, const StopCheck& stop) const override;

 private:
  ModelCard model_;
  RequestDefaults defaults_;
};

class ScoreDialect : public EmbeddingDialect {
 public:
  ScoreDialect(ModelCard model, RequestDefaults defaults) : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<EmbeddingCall> Parse(std::string_view body, const StopCheck& stop) const override;

 private:
  ModelCard model_;
  RequestDefaults defaults_;
};

}  // namespace cllm
