// Replacing within texts.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

// All places of `text` that are `from`, which isn't empty, as `to`.
inline std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string replaced;
  while (true) {
    const auto at = text.find(from);
    replaced += text.substr(0, at);
    if (at == std::string_view::npos) return replaced;
    replaced += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace cllm
