#include "api/ollama_embed.h"

#include <chrono>
#include <string>

#include <fmt/format.h>

#include "api/embedding_fields.h"
#include "api/embedding_output.h"
#include "api/model_name.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

class OllamaEmbedWriter : public EmbeddingWriter {
 public:
  struct Settings {
    std::string model = {};  // as the request names it
    VectorForm form = {};
    bool is_single = false;
  };
  explicit OllamaEmbedWriter(Settings settings) : settings_(std::move(settings)) {}

  Result<ChunkedText> Write(const EmbeddingAnswer& answer, const WorkLimits& limits) override {
    EmbeddingOutput output(limits);
    output.Add(settings_.is_single ? R"({"embedding":)" : fmt::format(R"({{"model":{},"embeddings":[)", Dump(settings_.model)));
    for (std::size_t i = 0; i < answer.embeddings.size(); ++i) {
      if (i > 0) output.Add(",");
      output.AddNumbers(Formed(answer.embeddings[i], settings_.form));
      if (Status status = output.Check(); !status) return std::unexpected(status.error());
    }
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begun_);
    output.Add(settings_.is_single ? "}"
                                   : fmt::format(R"(],"total_duration":{},"load_duration":0,"prompt_eval_count":{}}})", took.count(),
                                                 answer.prompt_tokens));
    return output.Take();
  }

 private:
  Settings settings_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace

Status OllamaEmbedDialect::ReadFields(JsonObject& object, EmbeddingCall& call) const {
  const bool is_single = form_ == Form::kEmbeddings;
  const char* field = is_single ? "prompt" : "input";
  object.Require(field);
  ReadTexts(object, field, call.request);
  if (is_single && call.request.is_list) object.Reject(field, "prompt must be one text");
  OllamaEmbedWriter::Settings settings{.model = ReadModelName(object).value_or(""), .is_single = is_single};
  settings.form = ReadVectorForm(object, embedding_size_);
  if (is_single) settings.form.normalize = VectorForm::kAsItIs;
  const bool says_nothing = !object.Has("truncate");
  ReadEmbeddingLimits(object, call.request);
  if (says_nothing && !call.request.most_tokens) call.request.most_tokens = kUntilTextEnd;
  object.Object("options", OllamaOptionFields(), [](JsonObject& options) {
    // What a generating model would be told.
    for (const char* name : {"num_ctx", "num_predict", "temperature", "seed", "top_k", "top_p"}) options.Ignore(name);
  });
  object.Ignore("keep_alive");
  call.writer = std::make_unique<OllamaEmbedWriter>(std::move(settings));
  return object.Finish(EmbeddingFields());
}

Json OllamaEmbedDialect::AnswerSchema() const {
  const Json vector = words::ListOf(words::Number());
  if (form_ == Form::kEmbeddings) return words::Record({{"embedding", vector}});
  return words::Record({{"model", words::String()},
                        {"embeddings", words::ListOf(vector)},
                        {"total_duration", words::Integer()},
                        {"load_duration", words::Integer()},
                        {"prompt_eval_count", words::Integer()}});
}

}  // namespace cllm
