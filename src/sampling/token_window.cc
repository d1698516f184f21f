#include "sampling/token_window.h"

#include <algorithm>

#include "base/invariant.h"

namespace cllm {

TokenWindow::TokenWindow(std::int32_t length) : length_(length) {}

void TokenWindow::Push(std::int32_t token) {
  CheckInvariant(token >= 0, "a token of the window has an id");
  if (length_ == 0) return;
  if (bounded() && ring_.size() < static_cast<std::size_t>(length_)) {
    ring_.push_back(token);
  } else if (bounded()) {
    Uncount(ring_[oldest_]);
    ring_[oldest_] = token;
    oldest_ = (oldest_ + 1) % ring_.size();
  }
  Count(token);
}

void TokenWindow::Push(std::span<const std::int32_t> tokens) {
  if (length_ == 0) return;
  if (bounded() && tokens.size() > static_cast<std::size_t>(length_)) {
    tokens = tokens.last(static_cast<std::size_t>(length_));
  }
  if (!counts_.empty()) {
    for (const std::int32_t token : tokens) Push(token);
    return;
  }
  if (bounded()) ring_.assign(tokens.begin(), tokens.end());
  std::vector<std::int32_t> sorted(tokens.begin(), tokens.end());
  std::ranges::sort(sorted);
  CheckInvariant(sorted.empty() || sorted.front() >= 0, "a token of the window has an id");
  for (const std::int32_t token : sorted) {
    if (counts_.empty() || counts_.back().token != token) counts_.push_back({.token = token, .count = 0});
    ++counts_.back().count;
  }
}

void TokenWindow::Count(std::int32_t token) {
  const auto found = std::ranges::lower_bound(counts_, token, {}, &TokenCount::token);
  if (found != counts_.end() && found->token == token) {
    ++found->count;
  } else {
    counts_.insert(found, {.token = token, .count = 1});
  }
}

void TokenWindow::Uncount(std::int32_t token) {
  const auto found = std::ranges::lower_bound(counts_, token, {}, &TokenCount::token);
  CheckInvariant(found != counts_.end() && found->token == token, "what leaves the window was counted");
  if (--found->count == 0) counts_.erase(found);
}

}  // namespace cllm
