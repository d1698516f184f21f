// What someone who misspelt a word may have meant.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace cllm {

inline constexpr std::size_t kAnyDistance = std::numeric_limits<std::size_t>::max();

// The fewest insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, where no part is edited
// twice ("optimal string alignment", the restricted Damerau-Levenshtein distance). Upper and lower case, '-' and '_' count
// as equal. Of each word the first 256 bytes are looked at and the rest is counted, so that a hostile one costs no more.
std::size_t EditDistance(std::string_view a, std::string_view b);

// Of the words that are at most `most_edits` from `word` the nearest; the first of several.
std::optional<std::string_view> NearestWord(std::string_view word, std::span<const std::string_view> known,
                                            std::size_t most_edits = kAnyDistance);

// As above, by another measure of what is near.
std::optional<std::string_view> NearestWord(std::span<const std::string_view> known,
                                            const std::function<std::size_t(std::string_view)>& distance,
                                            std::size_t most_distance = kAnyDistance);

}  // namespace cllm
