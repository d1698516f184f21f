// The constraint of one sequence, whose masks are made while the engine computes.
#pragma once

#include <xgrammar/xgrammar.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/worker_pool.h"
#include "grammar/grammar_compiler.h"

namespace cllm {

class CompiledGrammar {
 public:
  CompiledGrammar(xgrammar::CompiledGrammar grammar, std::string begun, std::vector<GrammarToken> tokens)
      : grammar_(std::move(grammar)), begun_(std::move(begun)), tokens_(std::move(tokens)) {}
  const xgrammar::CompiledGrammar& grammar() const { return grammar_; }
  // What of it comes before the answer.
  const std::string& begun() const { return begun_; }
  // The tokens that stand for their texts.
  const std::vector<GrammarToken>& tokens() const { return tokens_; }

 private:
  xgrammar::CompiledGrammar grammar_;
  std::string begun_;
  std::vector<GrammarToken> tokens_;
};

// Four bounds for each doubling, so that a median says something.
inline constexpr double kQuarterStep = 1.189207115002721;

class MaskWorkers {
 public:
  explicit MaskWorkers(int threads) : pool_(threads, /*steps_back=*/true) {}
  void Post(std::function<void()> job) { pool_.Post(std::move(job)); }
  void RecordMask(double seconds) { mask_seconds_.Record(seconds); }
  const Histogram& mask_seconds() const { return mask_seconds_; }

 private:
  Histogram mask_seconds_{GeometricBounds(0.000005, kQuarterStep, 85)};  // up to 10 s
  WorkerPool pool_;
};

class AheadConstraint : public TokenConstraint, public std::enable_shared_from_this<AheadConstraint> {
 public:
  // `begun`: what of the grammar has come before. `controls`: the control tokens, as a mask.
  AheadConstraint(std::shared_ptr<const CompiledGrammar> grammar, std::string begun, const Vocabulary& vocabulary,
                  std::span<const std::uint32_t> controls, MaskWorkers& workers);
  // Begins to work out what may come first.
  void Begin() { Post({}); }

  Result<std::optional<TokenMask>> Next(std::chrono::microseconds patience) override;
  void Accept(std::int32_t token) override;

 private:
  void Post(std::optional<std::int32_t> accepted);
  void Work(std::optional<std::int32_t> accepted);
  bool AcceptBegun();
  void Fill();
  void ForbidControls();
  std::optional<std::int32_t> OnlyToken() const;
  bool AllowsEnd() const;

  const std::shared_ptr<const CompiledGrammar> grammar_;
  const std::string begun_;
  const Vocabulary& vocabulary_;
  const std::span<const std::uint32_t> controls_;
  MaskWorkers& workers_;
  // Touched by the one who has the turn: a worker between Post and its end, else the sequence.
  xgrammar::GrammarMatcher matcher_;
  std::vector<std::uint32_t> mask_;
  std::vector<std::int32_t> forced_;
  std::size_t taken_ = 0;  // of forced_
  int accepted_ = 0;
  bool is_end_ = false;
  Status status_;

  std::mutex mutex_;
  std::condition_variable done_;
  bool working_ = false;
};

}  // namespace cllm
