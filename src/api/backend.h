// Everything that a request can reach of a model once it is loaded.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "api/anthropic_dialect.h"
#include "api/cllm_dialect.h"
#include "api/embedding_dialects.h"
#include "api/endpoints.h"
#include "api/llama_dialect.h"
#include "api/ollama_dialect.h"
#include "api/ollama_embed.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/rerank_dialects.h"
#include "api/responses_dialect.h"
#include "service/best_of.h"
#include "service/choices.h"
#include "service/service.h"

namespace cllm {

struct Backend {
  // `service` outlives the backend's use, and `kept` may be that of other models as well.
  Backend(Service& the_service, ServerFacts the_facts, const RequestDefaults& defaults,
          std::shared_ptr<ResponseStore> kept = std::make_shared<ResponseStore>(ResponseStoreOptions{}))
      : service(the_service),
        facts(std::move(the_facts)),
        generate(CllmDialect::Endpoint::kGenerate, defaults),
        generate_stream(CllmDialect::Endpoint::kGenerateStream, defaults),
        chat(facts.card, defaults),
        completions(facts.card, defaults),
        kept_responses(std::move(kept)),
        responses(facts.card, defaults, kept_responses),
        messages(facts.card, defaults),
        ollama_chat(OllamaForm::kChat, defaults, the_service.max_context()),
        ollama_generate(OllamaForm::kGenerate, defaults, the_service.max_context()),
        embeddings(facts.card, defaults, the_service.embedding_size()),
        llama_embeddings(defaults, the_service.embedding_size()),
        ollama_embed(OllamaEmbedDialect::Form::kEmbed, defaults, the_service.embedding_size()),
        ollama_embeddings(OllamaEmbedDialect::Form::kEmbeddings, defaults, the_service.embedding_size()),
        rerank(facts.card, defaults),
        score(facts.card, defaults),
        llama_completion(LlamaForm::kCompletion, LlamaModel(), defaults),
        llama_infill(LlamaForm::kInfill, LlamaModel(), defaults) {}

  // As Service::Submit, for all answers that the call wants.
  Result<std::shared_ptr<RequestControl>> Submit(ParsedCall call, std::shared_ptr<GenerationSink> sink) const {
    if (call.best_of > call.choices) sink = std::make_shared<BestOfSink>(call.choices, call.best_of, std::move(sink));
    const int computed = std::max(call.choices, call.best_of);
    return SubmitChoices(service, MakeChoices(std::move(call.request), std::move(call.further_prompts), computed), std::move(sink));
  }

  Service& service;
  ServerFacts facts;
  CllmDialect generate;
  CllmDialect generate_stream;
  OpenAiChatDialect chat;
  OpenAiCompletionsDialect completions;
  std::shared_ptr<ResponseStore> kept_responses;
  ResponsesDialect responses;
  AnthropicDialect messages;
  OllamaDialect ollama_chat;
  OllamaDialect ollama_generate;
  OpenAiEmbeddingDialect embeddings;
  LlamaEmbeddingDialect llama_embeddings;
  OllamaEmbedDialect ollama_embed;
  OllamaEmbedDialect ollama_embeddings;
  RerankDialect rerank;
  ScoreDialect score;
  LlamaDialect llama_completion;
  LlamaDialect llama_infill;

 private:
  LlamaDialect::Model LlamaModel() const {
    return {.card = facts.card, .ends = service.model().end_of_generation_tokens(), .knows_gaps = facts.knows_gaps};
  }
};

}  // namespace cllm
