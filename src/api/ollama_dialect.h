// Ollama's POST /api/chat and /api/generate.
#pragma once

#include <string>
#include <utility>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/ollama_writer.h"
#include "api/request_defaults.h"

namespace cllm {

class OllamaDialect : public Dialect {
 public:
  // `max_context`: tokens that a request may have.
  OllamaDialect(OllamaForm form, RequestDefaults defaults, int max_context)
      : form_(form), defaults_(std::move(defaults)), max_context_(max_context) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;
  std::string_view StreamType() const override { return kLinesType; }
  std::string_view KeepAlive() const override { return {}; }

 private:
  struct Read {
    OllamaWriter::Settings writer;
    bool is_load = false;  // nothing is asked but that the model is loaded, or need not be any more
    bool is_unload = false;
  };
  Result<Read> ReadFields(JsonObject& object, ParsedCall& call) const;
  void ReadOptions(JsonObject& object, GenerateRequest& request) const;

  OllamaForm form_;
  RequestDefaults defaults_;
  int max_context_;
};

}  // namespace cllm
