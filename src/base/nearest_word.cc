#include "base/nearest_word.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace cllm {
namespace {

constexpr std::size_t kMostBytes = 256;

char Folded(char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::size_t Difference(std::size_t a, std::size_t b) { return a < b ? b - a : a - b; }

// Of two words that are as long as one likes.
std::size_t Alignment(std::string_view a, std::string_view b) {
  // Rows of the distance table for the prefixes of `a` that end two characters ago, one ago and here.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = Folded(a[i - 1]) == Folded(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && Folded(a[i - 1]) == Folded(b[j - 2]) && Folded(a[i - 2]) == Folded(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::size_t EditDistance(std::string_view a, std::string_view b) {
  const std::size_t beyond = Difference(std::max(a.size(), kMostBytes), std::max(b.size(), kMostBytes));
  return Alignment(a.substr(0, kMostBytes), b.substr(0, kMostBytes)) + beyond;
}

std::optional<std::string_view> NearestWord(std::string_view word, std::span<const std::string_view> known, std::size_t most_edits) {
  const auto distance = [&](std::string_view candidate) {
    const std::size_t least = Difference(word.size(), candidate.size());
    return least > most_edits ? least : EditDistance(word, candidate);
  };
  return NearestWord(known, distance, most_edits);
}

std::optional<std::string_view> NearestWord(std::span<const std::string_view> known,
                                            const std::function<std::size_t(std::string_view)>& distance, std::size_t most_distance) {
  std::optional<std::string_view> nearest;
  std::size_t best = 0;
  for (const std::string_view candidate : known) {
    const std::size_t here = distance(candidate);
    if (here > most_distance || (nearest && here >= best)) continue;
    best = here;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace cllm
