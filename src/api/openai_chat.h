// OpenAI's POST /v1/chat/completions.
#pragma once

#include <utility>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/llama_progress.h"
#include "api/openai_fields.h"
#include "api/request_defaults.h"
#include "api/tool_fields.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

class OpenAiChatDialect : public Dialect {
 public:
  explicit OpenAiChatDialect(ModelCard model, RequestDefaults defaults = {}) : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;

 private:
  struct Read {
    bool logprobs = false;
    bool shows_reasoning = true;
    ToolSettings tools;
    StreamSettings stream;
    LlamaProgress progress;
  };
  Result<Read> ReadFields(JsonObject& object, ParsedCall& call) const;

  ModelCard model_;
  RequestDefaults defaults_;
};

// What a chat tells its template, for endpoints that generate nothing.
ChatPrompt ReadTemplateFields(JsonObject& object);

// POST /apply-template {messages, and what else a chat tells its template} → {"prompt": …}, as llama-server has it.
Result<ChunkedText> ApplyTemplateBody(const TextModel& model, std::string_view body, const WorkLimits& limits);
Operation DescribeApplyTemplate();

}  // namespace cllm
