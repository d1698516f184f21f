// Regular expressions of JSON Schema are those of ECMA-262, in its Unicode mode.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

inline constexpr std::size_t kMostPatternBytes = 1000;

// The same expression in RE2's syntax. What RE2 can't express (lookarounds, references to groups) and what one of the two reads in
// another way (unknown escapes, properties of characters other than categories and scripts) is an error.
Result<std::string> PatternForRe2(std::string_view pattern);

// Why a grammar can't be trusted to generate only what the expression matches; nothing where it can. The grammar compiler matches the whole
// string, ignores ^ and $ elsewhere than at the ends, and writes what it generates between quotes as it stands: so there may be no
// quotes, no backslashes and no control characters in it.
std::optional<std::string> WhyNotGenerated(std::string_view pattern);

}  // namespace cllm
