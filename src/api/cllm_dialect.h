// cLLM's own dialect: POST /generate and POST /generate_stream.
#pragma once

#include <utility>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/request_defaults.h"

namespace cllm {

class CllmDialect : public Dialect {
 public:
  enum class Endpoint : std::uint8_t { kGenerate, kGenerateStream };
  CllmDialect(Endpoint endpoint, RequestDefaults defaults) : endpoint_(endpoint), defaults_(std::move(defaults)) {}

  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;

 private:
  Status ReadFields(JsonObject& object, ParsedCall& call) const;

  Endpoint endpoint_;
  RequestDefaults defaults_;
};

}  // namespace cllm
