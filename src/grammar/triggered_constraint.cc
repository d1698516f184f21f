#include "grammar/triggered_constraint.h"

#include <algorithm>
#include <utility>

namespace cllm {

TriggeredConstraint::TriggeredConstraint(Settings settings) : settings_(std::move(settings)), tracker_(settings_.marks) {
  for (const std::string& trigger : settings_.triggers) longest_trigger_ = std::max(longest_trigger_, trigger.size());
}

bool TriggeredConstraint::IsComplete(const TokenMask& mask) const {
  if (mask.is_end) return true;
  return mask.forced.empty() && std::ranges::any_of(settings_.ends, [&mask](std::int32_t end) { return mask.Allows(end); });
}

Result<std::optional<TokenMask>> TriggeredConstraint::Next(std::chrono::microseconds patience) {
  while (inner_) {
    Result<std::optional<TokenMask>> next = inner_->Next(patience);
    if (next && !*next) return next;
    if (!next && has_begun_) return next;
    if (!next) {
      // What came with the trigger is no beginning: it was text. The next trigger may stand in it.
      inner_.reset();
      Look(std::exchange(seen_, {}).substr(1));
      continue;
    }
    has_begun_ = true;
    if (!IsComplete(**next)) return next;
    if (settings_.once) return TokenMask{.allowed = {}, .forced = {}, .is_end = true};
    inner_.reset();
    seen_.clear();
  }
  return TokenMask();
}

void TriggeredConstraint::Accept(std::int32_t token) {
  if (inner_) return inner_->Accept(token);
  Look(tracker_.Add(settings_.bytes(token)));
}

void TriggeredConstraint::Look(std::string_view text) {
  seen_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& trigger : settings_.triggers) first = std::min(first, seen_.find(trigger));
  if (first == std::string::npos) {
    if (seen_.size() >= longest_trigger_) seen_.erase(0, seen_.size() - (longest_trigger_ - 1));
    return;
  }
  seen_.erase(0, first);
  has_begun_ = false;
  inner_ = settings_.begin(seen_);
}

}  // namespace cllm
