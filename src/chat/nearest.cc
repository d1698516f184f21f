#include "chat/nearest.h"

#include <algorithm>

#include "config/text.h"

namespace cllm {

std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates) {
  return *std::ranges::min_element(candidates, {}, [&](std::string_view candidate) { return config::EditDistance(word, candidate); });
}

}  // namespace cllm
