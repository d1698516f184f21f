#include "api/embedding_call.h"

#include <utility>

#include "api/openai_fields.h"

namespace cllm {

Result<EmbeddingCall> EmbeddingDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<EmbeddingCall>(body, stop, defaults_,
                                 [this](JsonObject& object, EmbeddingCall& call) { return ReadFields(object, call); });
}

Operation EmbeddingDialect::Describe() const {
  const auto read = [this](JsonObject& object, EmbeddingCall& call) { return ReadFields(object, call); };
  return {.request = DescribeBody<EmbeddingCall>(defaults_, read), .answer = AnswerSchema()};
}

}  // namespace cllm
