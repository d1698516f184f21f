// libFuzzer target: a hostile request body, read by every dialect and every helper endpoint. A refusal names no field that is
// not valid UTF-8 and fits into an error body; what is accepted is within its bounds; and no reader takes long.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "api/anthropic_dialect.h"
#include "api/body_model.h"
#include "api/cllm_dialect.h"
#include "api/embedding_dialects.h"
#include "api/embedding_fields.h"
#include "api/endpoints.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/llama_dialect.h"
#include "api/ollama_dialect.h"
#include "api/ollama_models.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/rerank_dialects.h"
#include "api/responses_dialect.h"
#include "api/token_endpoints.h"
#include "base/testing_fuzz.h"
#include "base/utf8.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

void CheckJson(const std::string& text) { Require(IsValidUtf8(text) && Json::accept(text)); }

void CheckDialect(const Dialect& dialect, std::string_view body) {
  const Result<ParsedCall> call = dialect.Parse(body);
  if (!call) {
    Require(!call.error().message.empty());
    for (const ErrorFamily family : kErrorFamilies) CheckJson(ErrorBody(family, call.error()));
    return;
  }
  Require(call->writer != nullptr);
  Require(std::isfinite(call->request.sampling.temperature) && call->request.sampling.temperature >= 0);
  Require(call->best_of >= call->choices && call->ignored_fields.size() <= IgnoredFields::kMost);
  for (const std::string& path : call->ignored_fields) {
    Require(path.size() <= IgnoredFields::kMostLength && std::ranges::all_of(path, [](char c) { return c > ' ' && c < '\x7F'; }));
  }
}

void CheckEmbeddings(const EmbeddingDialect& dialect, std::string_view body) {
  const Result<EmbeddingCall> call = dialect.Parse(body);
  if (!call) return Require(!call.error().message.empty());
  Require(!call->request.texts.empty() && call->request.texts.size() <= kMostTexts);
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  const EmbeddingAnswer answer{.embeddings = std::vector<std::vector<float>>(call->request.texts.size(), {0.5F}), .prompt_tokens = 1};
  Result<ChunkedText> text = call->writer->Write(answer, WorkLimits{stop, memory});
  Require(text.has_value());
  CheckJson(text->TakeAll());
}

template <typename Endpoint>
void CheckEndpoint(Endpoint endpoint, std::string_view body) {
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  Result<ChunkedText> text = endpoint(ToyTextModel(), body, WorkLimits{stop, memory});
  if (text) CheckJson(text->TakeAll());
}

void CheckLook(Result<std::string> (*look)(const FindModel&, std::string_view), std::string_view body) {
  const Result<std::string> text = look([](std::string_view) -> Result<ListedModel> { return ListedModel{}; }, body);
  if (text) CheckJson(*text);
}

// The model is found as the dialects find it.
void CheckModelOfBody(std::string_view body) {
  const std::string found = ModelOfBody(body);
  const Result<Json> json = ParseJsonObject(body);
  if (!json || !json->contains("model") || !(*json)["model"].is_string()) return;
  const auto& model = (*json)["model"].get_ref<const std::string&>();
  if (model.size() <= 512 && found != model) std::abort();
}

}  // namespace
}  // namespace cllm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const ModelCard card{.id = "toy", .created_unix_s = 1};
  const RequestDefaults defaults;
  RequireCheap(size, [&] { CheckDialect(CllmDialect(CllmDialect::Endpoint::kGenerate, defaults), body); });
  RequireCheap(size, [&] { CheckDialect(CllmDialect(CllmDialect::Endpoint::kGenerateStream, defaults), body); });
  RequireCheap(size, [&] { CheckDialect(OpenAiCompletionsDialect(card, defaults), body); });
  RequireCheap(size, [&] { CheckDialect(OpenAiChatDialect(card, defaults), body); });
  const auto kept = std::make_shared<ResponseStore>(ResponseStoreOptions{});
  RequireCheap(size, [&] { CheckDialect(ResponsesDialect(card, defaults, kept), body); });
  RequireCheap(size, [&] { CheckDialect(AnthropicDialect(card, defaults), body); });
  RequireCheap(size, [&] { CheckEndpoint(CountTokensBody, body); });
  RequireCheap(size, [&] { CheckEndpoint(CountInputTokensBody, body); });
  RequireCheap(size, [&] { CheckDialect(OllamaDialect(OllamaForm::kChat, defaults, 4096), body); });
  RequireCheap(size, [&] { CheckDialect(OllamaDialect(OllamaForm::kGenerate, defaults, 4096), body); });
  RequireCheap(size, [&] { CheckModelOfBody(body); });
  const LlamaDialect::Model gaps{.card = card, .knows_gaps = true};
  RequireCheap(size, [&] { CheckDialect(LlamaDialect(LlamaForm::kCompletion, gaps, defaults), body); });
  RequireCheap(size, [&] { CheckDialect(LlamaDialect(LlamaForm::kInfill, gaps, defaults), body); });
  RequireCheap(size, [&] { CheckLook(OllamaShowBody, body); });
  RequireCheap(size, [&] { CheckLook(OllamaPullBody, body); });
  RequireCheap(size, [&] { CheckEmbeddings(OpenAiEmbeddingDialect(card, defaults, 1), body); });
  RequireCheap(size, [&] { CheckEmbeddings(LlamaEmbeddingDialect(defaults, 1), body); });
  RequireCheap(size, [&] { CheckEmbeddings(RerankDialect(card, defaults), body); });
  RequireCheap(size, [&] { CheckEmbeddings(ScoreDialect(card, defaults), body); });
  RequireCheap(size, [&] { CheckEndpoint(TokenizeBody, body); });
  RequireCheap(size, [&] { CheckEndpoint(DetokenizeBody, body); });
  RequireCheap(size, [&] { CheckEndpoint(ApplyTemplateBody, body); });
  return 0;
}
