// Anthropic's POST /v1/messages and what stands beside it.
#pragma once

#include <utility>

#include "api/dialect.h"
#include "api/endpoints.h"
#include "api/json_object.h"
#include "api/request_defaults.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

class AnthropicDialect : public Dialect {
 public:
  explicit AnthropicDialect(ModelCard model, RequestDefaults defaults = {}) : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;
  std::string_view KeepAlive() const override { return "event: ping\ndata: {\"type\":\"ping\"}\n\n"; }

 private:
  Status ReadFields(JsonObject& object, ParsedCall& call) const;

  ModelCard model_;
  RequestDefaults defaults_;
};

// POST /v1/messages/count_tokens: a request's body → {"input_tokens": …}.
Result<ChunkedText> CountTokensBody(const TextModel& model, std::string_view body, const WorkLimits& limits);
Operation DescribeCountTokens();

// GET /v1/models, as Anthropic's clients list models, of which there is one, and one of them.
std::string AnthropicModelsBody(const ModelList& models);
std::string AnthropicModelBody(const ListedModel& model);

}  // namespace cllm
