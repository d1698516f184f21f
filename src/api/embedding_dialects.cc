#include "api/embedding_dialects.h"

#include <fmt/format.h>

#include "api/embedding_fields.h"
#include "api/embedding_output.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

class OpenAiEmbeddingWriter : public EmbeddingWriter {
 public:
  OpenAiEmbeddingWriter(std::string model, VectorForm form, bool base64) : model_(std::move(model)), form_(form), base64_(base64) {}

  Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) override {
    EmbeddingOutput output(limits);
    output.Add(R"({"object":"list","data":[)");
    for (std::size_t i = 0; i < answer.embeddings.size(); ++i) {
      output.Add(fmt::format(R"({}{{"object":"embedding","index":{},"embedding":)", i > 0 ? "," : "", i));
      const std::vector<float> vector = Formed(answer.embeddings[i], form_);
      base64_ ? output.AddBase64(vector) : output.AddNumbers(vector);
      output.Add("}");
      if (Status status = output.Check(); !status) return std::unexpected(status.error());
    }
    const int tokens = answer.prompt_tokens;
    output.Add(fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})", Dump(model_), tokens, tokens));
    return output.Take();
  }

 private:
  std::string model_;
  VectorForm form_;
  bool base64_;
};

// A list with an entry for each text, and in each a list of one vector: llama-server has several there where nothing is pooled.
class LlamaEmbeddingWriter : public EmbeddingWriter {
 public:
  explicit LlamaEmbeddingWriter(VectorForm form) : form_(form) {}

  Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) override {
    EmbeddingOutput output(limits);
    output.Add("[");
    for (std::size_t i = 0; i < answer.embeddings.size(); ++i) {
      output.Add(fmt::format(R"({}{{"index":{},"embedding":[)", i > 0 ? "," : "", i));
      output.AddNumbers(Formed(answer.embeddings[i], form_));
      output.Add("]}");
      if (Status status = output.Check(); !status) return std::unexpected(status.error());
    }
    output.Add("]");
    return output.Take();
  }

 private:
  VectorForm form_;
};

bool ReadIsBase64(JsonObject& object) { return object.Word("encoding_format", {"float", "base64"}) == "base64"; }

}  // namespace

Status OpenAiEmbeddingDialect::ReadFields(JsonObject& object, EmbeddingCall& call) const {
  object.Require("input");
  ReadTexts(object, "input", call.request);
  ReadModelName(object);
  const bool is_base64 = ReadIsBase64(object);
  const VectorForm form = ReadVectorForm(object, embedding_size_);
  ReadEmbeddingLimits(object, call.request);
  call.writer = std::make_unique<OpenAiEmbeddingWriter>(model_.id, form, is_base64);
  return object.Finish(EmbeddingFields());
}

Status LlamaEmbeddingDialect::ReadFields(JsonObject& object, EmbeddingCall& call) const {
  object.RequireOneOf({"input", "content"}, "input is missing");
  ReadTexts(object, "content", call.request);
  ReadTexts(object, "input", call.request);
  ReadModelName(object);
  // llama-server takes it here, and answers with numbers whatever it says.
  ReadIsBase64(object);
  const VectorForm form = ReadVectorForm(object, embedding_size_);
  ReadEmbeddingLimits(object, call.request);
  call.writer = std::make_unique<LlamaEmbeddingWriter>(form);
  return object.Finish(EmbeddingFields());
}

Json OpenAiEmbeddingDialect::AnswerSchema() const {
  const Json vector = words::AnyOf({words::ListOf(words::Number()), words::String()});
  const Json entry = words::Record({{"object", words::Const("embedding")}, {"index", words::Integer()}, {"embedding", vector}});
  const Json usage = words::Record({{"prompt_tokens", words::Integer()}, {"total_tokens", words::Integer()}});
  return words::Record({{"object", words::Const("list")}, {"data", words::ListOf(entry)}, {"model", words::String()}, {"usage", usage}});
}

Json LlamaEmbeddingDialect::AnswerSchema() const {
  return words::ListOf(words::Record({{"index", words::Integer()}, {"embedding", words::ListOf(words::ListOf(words::Number()))}}));
}

}  // namespace cllm
