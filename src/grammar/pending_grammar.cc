#include "grammar/pending_grammar.h"

#include <utility>

namespace cllm {

void PendingGrammar::Set(Outcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
  }
  is_set_.notify_all();
}

std::optional<PendingGrammar::Outcome> PendingGrammar::Wait(std::chrono::microseconds patience) const {
  std::unique_lock lock(mutex_);
  is_set_.wait_for(lock, patience, [this] { return outcome_.has_value(); });
  return outcome_;
}

Result<std::optional<TokenMask>> PendingConstraint::Next(std::chrono::microseconds patience) {
  if (!made_) {
    auto outcome = grammar_->Wait(patience);
    if (!outcome) return std::nullopt;
    if (!*outcome) return std::unexpected(outcome->error());
    made_ = begin_(std::move(**outcome));
  }
  return made_->Next(patience);
}

}  // namespace cllm
