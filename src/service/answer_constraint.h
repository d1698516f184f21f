// The grammar of a request's answers.
#pragma once

#include <optional>

#include "grammar/grammar_source.h"
#include "service/generation.h"
#include "service/shared_request.h"

namespace cllm {

// Whether the request demands something of its answers that may be a grammar's to enforce.
bool WantsGrammar(const GenerateRequest& request);

// The grammar, and the field of the request that asks for it. Nothing where any text may come: what the answer has to be is looked at
// then when it is there.
struct AnswerGrammarSource {
  GrammarSource source;
  std::string field;
};
std::optional<AnswerGrammarSource> GrammarOf(const GenerateRequest& request, const EncodedPrompt& encoded);

}  // namespace cllm
