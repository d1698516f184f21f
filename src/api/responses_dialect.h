// OpenAI's POST /v1/responses, and what can be asked of answers that are kept.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/request_defaults.h"
#include "api/response_store.h"
#include "api/response_writer.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

class ResponsesDialect : public Dialect {
 public:
  ResponsesDialect(ModelCard model, RequestDefaults defaults, std::shared_ptr<ResponseStore> store)
      : model_(std::move(model)), defaults_(std::move(defaults)), store_(std::move(store)) {}
  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override { return ParseFor({}, body, stop); }
  Result<ParsedCall> ParseFor(const std::string& owner, std::string_view body, const StopCheck& stop) const override;
  // A request may go on from a long conversation.
  bool ReadsBodyAlone() const override { return false; }
  Operation Describe() const override;

 private:
  Status ReadFields(JsonObject& object, ResponseWriter::Parts& parts, ParsedCall& call, const StopCheck& stop) const;
  Result<ChatPrompt> ReadConversation(JsonObject& object, ResponseWriter::Parts& parts, const StopCheck& stop) const;

  ModelCard model_;
  RequestDefaults defaults_;
  std::shared_ptr<ResponseStore> store_;
};

// Asks for something of one kept answer.
struct KeptResponseCall {
  ResponseStore& store;
  const std::string& owner;
  const std::string& id;
  // The value of a field of the query; empty where it is absent.
  std::function<std::string(const char* name)> query;
};

// GET /v1/responses/{id}, DELETE /v1/responses/{id}, POST /v1/responses/{id}/cancel, GET /v1/responses/{id}/input_items.
Result<std::string> KeptResponseBody(const KeptResponseCall& call);
Result<std::string> DeletedResponseBody(const KeptResponseCall& call);
Result<std::string> CancelledResponseBody(const KeptResponseCall& call);
Result<std::string> InputItemsBody(const KeptResponseCall& call);

// POST /v1/responses/input_tokens: a request's body → {"input_tokens": …}.
Result<ChunkedText> CountInputTokensBody(const TextModel& model, std::string_view body, const WorkLimits& limits);

Operation DescribeCountInputTokens();
Operation DescribeKeptResponse();
Operation DescribeDeletedResponse();
Operation DescribeCancelledResponse();
Operation DescribeInputItems();

}  // namespace cllm
