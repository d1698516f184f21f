// Texts that open something where they come in a stream of text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

struct TextTrigger {
  // The text. Between two words spaces may stand, up to kMostTriggerGap of them.
  std::vector<std::string> words = {};
  // What stands right before it. Empty: anything.
  std::string behind = {};
  // Or it stands at the beginning of all text; there alone where `behind` is empty.
  bool begins = false;
  bool operator==(const TextTrigger&) const = default;
};

inline constexpr std::size_t kMostTriggerGap = 24;

// So many bytes the text may have at most, with what stands before it.
std::size_t MostTriggerBytes(const TextTrigger& trigger);

// Where its words first begin in `text`, which is the beginning of all text or not.
std::optional<std::size_t> FindTrigger(const TextTrigger& trigger, std::string_view text, bool is_beginning);

}  // namespace cllm
