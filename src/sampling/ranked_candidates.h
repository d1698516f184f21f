// Top-k, and the lazily sorted list of candidates that the other truncations cut.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sampling/candidate.h"
#include "sampling/logit_row.h"

namespace cllm {

// Reused between calls so that a step allocates nothing; what it holds between them means nothing.
struct RankingScratch {
  std::vector<float> block_max;
  std::vector<Candidate> candidates;
};

// The first `limit` tokens of a row in the order of RanksBefore, sorted only as far as somebody asks.
//
// With a limit this is top-k sampling (A. Fan et al. 2018, "Hierarchical Neural Story Generation"), by selection
// instead of sorting: at least k tokens reach the k-th highest block maximum, so only such tokens are collected, and
// only k of them are sorted.
class RankedCandidates {
 public:
  // `limit` >= 1. Tokens with a logit below `floor` are left out. `row` and `scratch` must outlive this object.
  RankedCandidates(const LogitRow& row, std::size_t limit, double floor, RankingScratch& scratch);

  // Makes the first `count` candidates available in sorted(), or all if there are fewer. Invalidates earlier spans.
  void SortFirst(std::size_t count);

  std::span<const Candidate> sorted() const { return std::span(scratch_.candidates).first(sorted_); }

  // sorted() holds every candidate.
  bool complete() const { return complete_; }

 private:
  void Collect(std::size_t count);

  const LogitRow& row_;
  std::size_t limit_;
  double floor_;
  RankingScratch& scratch_;
  bool collected_all_ = false;
  std::size_t sorted_ = 0;
  bool complete_ = false;
};

}  // namespace cllm
