// How one family of clients asks for embeddings or scores and wants to be answered: what Dialect is for generated text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_object.h"
#include "api/operation.h"
#include "api/request_defaults.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/embedding.h"

namespace cllm {

// Writes the body of a good answer; made for its request.
class EmbeddingWriter {
 public:
  virtual ~EmbeddingWriter() = default;
  virtual Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) = 0;
};

struct EmbeddingCall {
  EmbeddingRequest request;
  std::unique_ptr<EmbeddingWriter> writer;
  std::vector<std::string> ignored_fields;  // as ParsedCall's
};

class EmbeddingDialect {
 public:
  explicit EmbeddingDialect(RequestDefaults defaults) : defaults_(std::move(defaults)) {}
  virtual ~EmbeddingDialect() = default;
  // `stop` is asked now and then while a long body is read.
  Result<EmbeddingCall> Parse(std::string_view body, const StopCheck& stop = {}) const;
  // As Dialect has it.
  Operation Describe() const;

 private:
  // Reads to the end, Finish included.
  virtual Status ReadFields(JsonObject& object, EmbeddingCall& call) const = 0;
  virtual Json AnswerSchema() const = 0;

  RequestDefaults defaults_;
};

}  // namespace cllm
