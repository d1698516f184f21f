// OpenAI's POST /v1/completions.
#pragma once

#include <optional>
#include <utility>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/request_defaults.h"

namespace cllm {

class OpenAiCompletionsDialect : public Dialect {
 public:
  explicit OpenAiCompletionsDialect(ModelCard model, RequestDefaults defaults = {})
      : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;

 private:
  struct Read {
    std::optional<int> logprobs;
    std::optional<int> prompt_logprobs;
    StreamSettings stream;
  };
  Result<Read> ReadFields(JsonObject& object, ParsedCall& call) const;

  ModelCard model_;
  RequestDefaults defaults_;
};

}  // namespace cllm
