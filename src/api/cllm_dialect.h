// cLLM's own dialect: POST /generate and POST /generate_stream.
#pragma once

#include "api/dialect.h"

namespace cllm {

class CllmDialect : public Dialect {
 public:
  enum class Endpoint : std::uint8_t { kGenerate, kGenerateStream };
  CllmDialect(Endpoint endpoint, int default_max_tokens) : endpoint_(endpoint), default_max_tokens_(default_max_tokens) {}

  Result<ParsedCall> Parse(std::string_view body) const override;
  std::string ErrorBody(const Error& error) const override;

 private:
  Endpoint endpoint_;
  int default_max_tokens_;
};

}  // namespace cllm
