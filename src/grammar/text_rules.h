// Rules for texts that a model writes as they stand, up to a mark.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cllm {

// The rule `name`, and others below it: any text that holds none of `excluded`, and begins with none of the characters `not_first`.
std::string RulesWithout(std::span<const std::string> excluded, std::string_view not_first, const std::string& name);

// So many characters, of which none is `excluded`.
std::string CharactersWithout(std::string_view excluded, std::int64_t least, std::optional<std::int64_t> most);

// The text itself.
std::string LiteralRule(std::string_view text);

}  // namespace cllm
