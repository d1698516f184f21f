// What someone who misspelt a word may have meant.
#pragma once

#include <span>
#include <string_view>

namespace cllm {

// The candidate with the fewest edits between it and `word`; the first of several. There is at least one candidate.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace cllm
