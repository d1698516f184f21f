#include "api/embedding_call.h"

#include <utility>

#include "api/openai_fields.h"

namespace cllm {

Result<EmbeddingCall> EmbeddingDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults_.unknown_fields == "ignore" ? &ignored : nullptr);
  EmbeddingCall call;
  if (const Status status = ReadFields(object, call); !status) return std::unexpected(status.error());
  call.ignored_fields = ignored.Take();
  return call;
}

Operation EmbeddingDialect::Describe() const {
  const auto read = [this](JsonObject& object) {
    EmbeddingCall unused;
    static_cast<void>(ReadFields(object, unused));
  };
  return {.request = DescribeBody(read, defaults_), .answer = AnswerSchema()};
}

}  // namespace cllm
