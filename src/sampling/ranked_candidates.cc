#include "sampling/ranked_candidates.h"

#include <algorithm>
#include <limits>

#include "base/invariant.h"

namespace cllm {

RankedCandidates::RankedCandidates(const LogitRow& row, std::size_t limit, double floor, RankingScratch& scratch)
    : row_(row), limit_(std::min(limit, row.size())), floor_(floor), scratch_(scratch) {
  CheckInvariant(limit >= 1, "at least one candidate is ranked");
  scratch_.candidates.clear();
}

void RankedCandidates::SortFirst(std::size_t count) {
  count = std::min(count, limit_);
  if (complete_ || count <= sorted_) return;
  if (!collected_all_) Collect(count);
  std::vector<Candidate>& candidates = scratch_.candidates;
  const auto unsorted = candidates.begin() + static_cast<std::ptrdiff_t>(sorted_);
  sorted_ = std::min(count, candidates.size());
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(sorted_);
  if (end != candidates.end()) std::nth_element(unsorted, end, candidates.end(), RanksBefore);
  std::sort(unsorted, end, RanksBefore);
  complete_ = count == limit_ || (collected_all_ && sorted_ == candidates.size());
}

void RankedCandidates::Collect(std::size_t count) {
  const double bound = row_.BoundForRank(count, scratch_.block_max);
  collected_all_ = bound <= floor_ || bound == -std::numeric_limits<double>::infinity();
  scratch_.candidates.clear();
  sorted_ = 0;
  row_.CollectAtLeast(std::max(bound, floor_), scratch_.candidates);
}

}  // namespace cllm
