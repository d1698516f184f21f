#include "service/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace cllm {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include) : stops_(std::move(stops)), include_(include) {}

std::string StopMatcher::Push(std::string_view text) {
  if (matched_) return {};
  if (stops_.empty()) return std::string(text);
  pending_ += text;
  std::size_t first = std::string::npos;
  std::size_t length = 0;  // of the stop string there
  for (const std::string& stop : stops_) {
    const std::size_t found = pending_.find(stop);
    if (found < first) length = stop.size();
    first = std::min(first, found);
  }
  matched_ = first != std::string::npos;
  std::string decided = pending_.substr(0, matched_ ? first + (include_ ? length : 0) : pending_.size() - HoldBack());
  if (matched_) {
    pending_.clear();
  } else {
    pending_.erase(0, decided.size());
  }
  return decided;
}

// Length of the longest end of the pending text that begins a stop string.
std::size_t StopMatcher::HoldBack() const {
  std::size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, pending_.size()); length > longest; --length) {
      if (pending_.ends_with(std::string_view(stop).substr(0, length))) longest = length;
    }
  }
  return longest;
}

std::string StopMatcher::Finish() { return std::exchange(pending_, {}); }

}  // namespace cllm
