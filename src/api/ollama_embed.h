// Ollama's POST /api/embed, and the older /api/embeddings.
#pragma once

#include <cstdint>
#include <utility>

#include "api/embedding_call.h"

namespace cllm {

class OllamaEmbedDialect : public EmbeddingDialect {
 public:
  enum class Form : std::uint8_t {
    kEmbed,       // texts in `input`, vectors of length 1; what is too long is cut unless `truncate` is false
    kEmbeddings,  // one text in `prompt`, its vector as the model gives it
  };
  // `embedding_size`: of the served model; 0: it gives none.
  OllamaEmbedDialect(Form form, RequestDefaults defaults, int embedding_size)
      : EmbeddingDialect(std::move(defaults)), form_(form), embedding_size_(embedding_size) {}

 private:
  Status ReadFields(JsonObject& object, EmbeddingCall& call) const override;
  Json AnswerSchema() const override;

  Form form_;
  int embedding_size_;
};

}  // namespace cllm
