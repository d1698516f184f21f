// A grammar that is being compiled while answers go on that may never need it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "grammar/grammar_compiler.h"
#include "sampling/token_constraint.h"

namespace cllm {

// Thread safe.
class PendingGrammar {
 public:
  using Outcome = Result<std::shared_ptr<const CompiledGrammar>>;
  // Once.
  void Set(Outcome outcome);
  // Nothing where it takes longer than `patience`.
  std::optional<Outcome> Wait(std::chrono::microseconds patience) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable is_set_;
  std::optional<Outcome> outcome_;
};

// The constraint that `begin` makes of the grammar, as soon as it is there. Where it can't be compiled Next is an error.
class PendingConstraint : public TokenConstraint {
 public:
  using Begin = std::function<std::shared_ptr<TokenConstraint>(std::shared_ptr<const CompiledGrammar>)>;
  PendingConstraint(std::shared_ptr<const PendingGrammar> grammar, Begin begin) : grammar_(std::move(grammar)), begin_(std::move(begin)) {}

  Result<std::optional<TokenMask>> Next(std::chrono::microseconds patience) override;
  void Accept(std::int32_t token) override { made_->Accept(token); }

 private:
  const std::shared_ptr<const PendingGrammar> grammar_;
  const Begin begin_;
  std::shared_ptr<TokenConstraint> made_;
};

}  // namespace cllm
