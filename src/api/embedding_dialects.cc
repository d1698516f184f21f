#include "api/embedding_dialects.h"

#include <fmt/format.h>

#include "api/embedding_fields.h"
#include "api/embedding_output.h"
#include "api/json_object.h"

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

bool ReadIsBase64(JsonObject& object) {
  const std::string format = object.String("encoding_format").value_or("float");
  if (format != "float" && format != "base64") object.Reject("encoding_format", "encoding_format must be float or base64");
  return format == "base64";
}

}  // namespace

Result<EmbeddingCall> OpenAiEmbeddingDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults_.unknown_fields == "ignore" ? &ignored : nullptr);
  EmbeddingCall call;
  ReadTexts(object, "input", call.request);
  object.String("model");
  const bool is_base64 = ReadIsBase64(object);
  const VectorForm form = ReadVectorForm(object, embedding_size_);
  ReadEmbeddingLimits(object, call.request);
  if (const Status status = object.Finish(EmbeddingFields()); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<OpenAiEmbeddingWriter>(model_.id, form, is_base64);
  call.ignored_fields = ignored.Take();
  return call;
}

Result<EmbeddingCall> LlamaEmbeddingDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults_.unknown_fields == "ignore" ? &ignored : nullptr);
  EmbeddingCall call;
  ReadTexts(object, object.Has("input") ? "input" : "content", call.request);
  object.String("model");
  // llama-server takes it here, and answers with numbers whatever it says.
  ReadIsBase64(object);
  const VectorForm form = ReadVectorForm(object, embedding_size_);
  ReadEmbeddingLimits(object, call.request);
  if (const Status status = object.Finish(EmbeddingFields()); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<LlamaEmbeddingWriter>(form);
  call.ignored_fields = ignored.Take();
  return call;
}

}  // namespace cllm
