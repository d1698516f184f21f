// OpenAI's POST /v1/completions.
#pragma once

#include <utility>

#include "api/dialect.h"

namespace cllm {

class OpenAiCompletionsDialect : public Dialect {
 public:
  explicit OpenAiCompletionsDialect(ModelCard model) : model_(std::move(model)) {}
  Result<ParsedCall> Parse(std::string_view body) const override;
  std::string ErrorBody(const Error& error) const override;

 private:
  ModelCard model_;
};

}  // namespace cllm
