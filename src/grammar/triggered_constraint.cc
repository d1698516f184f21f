#include "grammar/triggered_constraint.h"

#include <algorithm>
#include <utility>

namespace cllm {

TriggeredConstraint::TriggeredConstraint(Settings settings) : settings_(std::move(settings)), tracker_(settings_.marks) {
  for (const TextTrigger& trigger : settings_.triggers) longest_trigger_ = std::max(longest_trigger_, MostTriggerBytes(trigger));
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
      Forget(1);
      Look({});
      continue;
    }
    has_begun_ = true;
    if (!IsComplete(**next)) return next;
    if (settings_.once) return TokenMask{.allowed = {}, .forced = {}, .is_end = true};
    inner_.reset();
    Forget(seen_.size());
  }
  return TokenMask();
}

void TriggeredConstraint::Accept(std::int32_t token) {
  if (inner_) return inner_->Accept(token);
  Look(tracker_.Add(settings_.bytes(token)));
}

void TriggeredConstraint::Forget(std::size_t bytes) {
  seen_.erase(0, bytes);
  is_beginning_ = false;
}

void TriggeredConstraint::Look(std::string_view text) {
  seen_ += text;
  std::size_t first = std::string::npos;
  for (const TextTrigger& trigger : settings_.triggers) {
    first = std::min(first, FindTrigger(trigger, seen_, is_beginning_).value_or(std::string::npos));
  }
  if (first == std::string::npos) {
    if (seen_.size() >= longest_trigger_) Forget(seen_.size() - (longest_trigger_ - 1));
    return;
  }
  if (first > 0) Forget(first);
  has_begun_ = false;
  inner_ = settings_.begin(seen_);
}

}  // namespace cllm
