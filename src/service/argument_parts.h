// The grammars of arguments that a model writes one by one: JSON, or text as it stands.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "grammar/grammar_source.h"
#include "service/generation.h"

namespace cllm {

// Puts them where the frame of `source` has places for them. An error names what of a strict tool's schema no text can be held to; of other
// tools it is left out, and the places of such schemas are given.
Result<std::vector<std::string>> PlaceArguments(const std::vector<FramedArgument>& arguments, const std::vector<ChatTool>& tools,
                                                GrammarSource& source);

// Whether a text that the pattern matches may hold the character, as far as is easy to tell.
bool PatternMayWrite(std::string_view pattern, char character);

}  // namespace cllm
