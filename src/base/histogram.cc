#include "base/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace cllm {

std::int64_t HistogramCounts::count() const { return std::accumulate(bucket_counts.begin(), bucket_counts.end(), std::int64_t{0}); }

Histogram::Histogram(std::vector<double> upper_bounds) : upper_bounds_(std::move(upper_bounds)), counts_(upper_bounds_.size() + 1) {}

void Histogram::Record(double value) {
  const auto bucket = std::isnan(value) ? upper_bounds_.end() : std::ranges::lower_bound(upper_bounds_, value);
  counts_[static_cast<std::size_t>(bucket - upper_bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  if (std::isfinite(value)) sum_.fetch_add(value, std::memory_order_relaxed);
}

HistogramCounts Histogram::Read() const {
  HistogramCounts counts{.upper_bounds = upper_bounds_, .bucket_counts = {}, .sum = sum_.load(std::memory_order_relaxed)};
  for (const auto& count : counts_) counts.bucket_counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

std::vector<double> GeometricBounds(double first, double factor, std::size_t count) {
  std::vector<double> bounds;
  for (double bound = first; bounds.size() < count; bound *= factor) bounds.push_back(bound);
  return bounds;
}

}  // namespace cllm
