// OpenAI's POST /v1/chat/completions.
#pragma once

#include <utility>

#include "api/dialect.h"
#include "api/request_defaults.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

class OpenAiChatDialect : public Dialect {
 public:
  explicit OpenAiChatDialect(ModelCard model, RequestDefaults defaults = {}) : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;

 private:
  ModelCard model_;
  RequestDefaults defaults_;
};

// POST /apply-template {messages, and what else a chat tells its template} → {"prompt": …}, as llama-server has it.
Result<ChunkedText> ApplyTemplateBody(const TextModel& model, std::string_view body, const WorkLimits& limits);

}  // namespace cllm
