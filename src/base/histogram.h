// Counts of values in buckets, for metrics: recorded by one thread or many, read by another, without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cllm {

struct HistogramCounts {
  std::vector<double> upper_bounds;         // ascending; a last bucket without a bound follows
  std::vector<std::int64_t> bucket_counts;  // one more than upper_bounds
  double sum = 0;                           // of the values

  std::int64_t count() const;
};

class Histogram {
 public:
  // A value belongs to the first bucket whose bound it does not exceed. `upper_bounds`: ascending and finite.
  explicit Histogram(std::vector<double> upper_bounds);

  // A value that is no number is counted in the last bucket and adds nothing to the sum.
  void Record(double value);

  // The buckets agree with each other; the sum may be a few values ahead or behind.
  HistogramCounts Read() const;

 private:
  std::vector<double> upper_bounds_;
  std::vector<std::atomic<std::int64_t>> counts_;
  std::atomic<double> sum_ = 0;
};

// `count` bounds from `first` on, each `factor` times the one before.
std::vector<double> GeometricBounds(double first, double factor, std::size_t count);

}  // namespace cllm
