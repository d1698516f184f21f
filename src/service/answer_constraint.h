// The grammar of a request's answers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "grammar/grammar_source.h"
#include "grammar/thoughts.h"
#include "service/generation.h"
#include "service/shared_request.h"

namespace cllm {

// Whether an answer can't begin before its grammar is compiled.
bool WaitsForGrammar(const GenerateRequest& request);

// The grammar, and the field of the request that asks for it. Nothing where any text may come: what the answer has to be is looked at
// then when it is there.
struct AnswerGrammarSource {
  GrammarSource source = {};
  std::string field = {};
  std::vector<TextTrigger> triggers = {};  // as in AnswerFrame
  bool once = false;                       // where there are triggers: as in TriggeredConstraint
  std::vector<std::string> relaxed = {};   // as in AnswerStart
  bool is_needed = true;                   // else an answer may do without, if the grammar can't be compiled

  // Different for what constrains an answer differently.
  std::string Key() const;
};
// An error: a strict tool's schema asks for what no answer can be held to.
Result<std::optional<AnswerGrammarSource>> GrammarOf(const GenerateRequest& request, const EncodedPrompt& encoded);

// How thoughts of the answer look.
ThoughtMarks ThoughtsOf(const EncodedPrompt& encoded);
// How many tokens they may have, where there may be some and somebody says.
std::optional<int> ThoughtBudgetOf(const GenerateRequest& request, const EncodedPrompt& encoded);

}  // namespace cllm
