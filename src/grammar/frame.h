// Grammars put together as text.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

// The rules of a grammar with `prefix` before each of their names.
std::string WithPrefixedRules(std::string_view rules, std::string_view prefix);

// A grammar whose root is the root of the one or of the other.
std::string EitherGrammar(std::string_view one, std::string_view other);

}  // namespace cllm
