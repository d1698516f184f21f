// Grammars put together as text.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

// The rules of a grammar with `prefix` before each of their names.
std::string WithPrefixedRules(std::string_view rules, std::string_view prefix);

// All places of `text` that are `from`, replaced.
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

}  // namespace cllm
