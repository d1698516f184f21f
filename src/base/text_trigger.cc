#include "base/text_trigger.h"

#include <algorithm>

namespace cllm {
namespace {

bool HasWordsAt(const TextTrigger& trigger, std::string_view text) {
  for (std::size_t i = 0; i < trigger.words.size(); ++i) {
    if (i > 0) {
      const std::size_t spaces = std::min(text.find_first_not_of(" \t\r\n"), text.size());
      if (spaces > kMostTriggerGap) return false;
      text.remove_prefix(spaces);
    }
    if (!text.starts_with(trigger.words[i])) return false;
    text.remove_prefix(trigger.words[i].size());
  }
  return true;
}

bool MayStandAt(const TextTrigger& trigger, std::string_view before, bool is_beginning) {
  if (trigger.begins && is_beginning && before.empty()) return true;
  return trigger.behind.empty() ? !trigger.begins : before.ends_with(trigger.behind);
}

}  // namespace

std::size_t MostTriggerBytes(const TextTrigger& trigger) {
  std::size_t bytes = trigger.behind.size() + kMostTriggerGap * trigger.words.size();
  for (const std::string& word : trigger.words) bytes += word.size();
  return bytes;
}

std::optional<std::size_t> FindTrigger(const TextTrigger& trigger, std::string_view text, bool is_beginning) {
  if (trigger.words.empty()) return std::nullopt;
  for (std::size_t at = text.find(trigger.words.front()); at != std::string_view::npos; at = text.find(trigger.words.front(), at + 1)) {
    if (MayStandAt(trigger, text.substr(0, at), is_beginning) && HasWordsAt(trigger, text.substr(at))) return at;
  }
  return std::nullopt;
}

}  // namespace cllm
