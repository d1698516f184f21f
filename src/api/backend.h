// Everything that a request can reach once the model is loaded.
#pragma once

#include "api/cllm_dialect.h"
#include "api/endpoints.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "service/service.h"

namespace cllm {

struct Backend {
  // `service` outlives the backend.
  Backend(Service& the_service, ServerFacts the_facts, int default_max_tokens)
      : service(the_service),
        facts(std::move(the_facts)),
        generate(CllmDialect::Endpoint::kGenerate, default_max_tokens),
        generate_stream(CllmDialect::Endpoint::kGenerateStream, default_max_tokens),
        chat(facts.card),
        completions(facts.card) {}

  Service& service;
  ServerFacts facts;
  CllmDialect generate;
  CllmDialect generate_stream;
  OpenAiChatDialect chat;
  OpenAiCompletionsDialect completions;
};

}  // namespace cllm
