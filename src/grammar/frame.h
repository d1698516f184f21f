// Grammars put together as text.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "grammar/grammar_source.h"

namespace cllm {

// The rules of a grammar with `prefix` before each of their names.
std::string WithPrefixedRules(std::string_view rules, std::string_view prefix);

// A grammar whose root is the root of the one or of the other.
std::string EitherGrammar(std::string_view one, std::string_view other);

// The rules with tokens where literals write their texts.
std::string WithTokens(std::string_view rules, std::span<const GrammarToken> tokens);

// The first text of a token in `text`, the longest where several begin there; nothing where there is none.
struct TokenPlace {
  std::size_t begin = 0;
  const GrammarToken* token = nullptr;
};
TokenPlace FirstToken(std::string_view text, std::span<const GrammarToken> tokens);

}  // namespace cllm
