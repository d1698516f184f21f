// One row of logits seen through a few changed entries, with the maximum of each block of it.
//
// The engine's row is never written. It is read once to find the maximum of each block; after that the best tokens are
// found by looking into the few blocks that can hold them, so neither a copy nor a sort of the vocabulary is needed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "sampling/candidate.h"

namespace cllm {

// The value that a token's logit has instead of the engine's.
struct LogitPatch {
  std::int32_t token = 0;
  float logit = 0.0F;
};

class LogitRow {
 public:
  // Tokens in a block. A multiple of kLanes, so that a token's lane is its id modulo kLanes.
  static constexpr std::size_t kBlockSize = 128;
  // Width of the virtual vector in which sums over the vocabulary run, whatever the hardware's is.
  static constexpr std::size_t kLanes = 16;

  // Reads the row once. `logits` and `block_max` (overwritten) must outlive the LogitRow. -infinity is allowed: such a
  // token is no candidate. kInternal if the row is empty, holds NaN or +infinity, or is longer than token ids reach.
  static Result<LogitRow> Scan(std::span<const float> logits, std::vector<float>& block_max);

  // Puts `patches` (ascending tokens, each once and inside the row; no NaN, no +infinity) over the engine's values.
  // At most once for a LogitRow, which the span must outlive.
  void Patch(std::span<const LogitPatch> patches);

  std::size_t size() const { return logits_.size(); }

  // The highest logit; -infinity if there is no candidate.
  float Max() const { return max_; }

  // The lowest token id among those with the highest logit.
  std::int32_t ArgMax() const;

  // How many tokens rank before one with this logit.
  std::size_t RankedBefore(const Candidate& candidate) const;

  // Sum over the row of Weight(logit, Max(), temperature): kLanes sums in the order of token ids, then one fixed tree.
  // Needs Max() > -infinity.
  double TotalWeight(double temperature) const;

  // A bound that at least `rank` tokens reach, and that no token of the first `rank` misses: the rank-th highest block
  // maximum. -infinity where there are fewer blocks than that. `ranked` is overwritten. rank >= 1.
  float BoundForRank(std::size_t rank, std::vector<float>& ranked) const;

  // Appends all tokens with logit >= bound and logit > -infinity, in ascending order of their ids.
  void CollectAtLeast(double bound, std::vector<Candidate>& out) const;

 private:
  using BlockBuffer = std::array<float, kBlockSize>;

  LogitRow(std::span<const float> logits, std::span<float> block_max) : logits_(logits), block_max_(block_max) {}

  // The kBlockSize logits of a block: the engine's own where they are complete and unpatched, else a copy in `buffer`.
  const float* Block(std::size_t block, BlockBuffer& buffer) const;

  std::span<const float> logits_;
  std::span<const LogitPatch> patches_;
  std::span<float> block_max_;
  float max_ = 0.0F;
};

}  // namespace cllm
