#include "base/histogram.h"

#include <limits>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(HistogramTest, AValueOnABoundBelongsBelowIt) {
  Histogram histogram({1, 2, 4});
  for (const double value : {0.5, 1.0, 1.5, 2.0, 4.0, 4.5, -3.0}) histogram.Record(value);
  const HistogramCounts counts = histogram.Read();
  EXPECT_EQ(counts.bucket_counts, (Counts{3, 2, 1, 1}));
  EXPECT_EQ(counts.count(), 7);
  EXPECT_DOUBLE_EQ(counts.sum, 10.5);
}

TEST(HistogramTest, WhatIsNotFiniteIsCountedAndSpoilsNoSum) {
  Histogram histogram({1});
  histogram.Record(std::numeric_limits<double>::quiet_NaN());
  histogram.Record(std::numeric_limits<double>::infinity());
  histogram.Record(0.25);
  EXPECT_EQ(histogram.Read().bucket_counts, (Counts{1, 2}));
  EXPECT_DOUBLE_EQ(histogram.Read().sum, 0.25);
}

TEST(HistogramTest, NothingIsLostBetweenThreads) {
  Histogram histogram({1});
  constexpr int kEach = 10'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) histogram.Record(n % 2 == 0 ? 0.5 : 2.0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.Read().bucket_counts, (Counts{2 * kEach, 2 * kEach}));
  EXPECT_DOUBLE_EQ(histogram.Read().sum, 2 * kEach * 2.5);
}

TEST(HistogramTest, GeometricBoundsGrowByTheFactor) {
  EXPECT_EQ(GeometricBounds(0.5, 2, 4), (std::vector<double>{0.5, 1, 2, 4}));
  EXPECT_TRUE(GeometricBounds(1, 2, 0).empty());
}

}  // namespace
}  // namespace cllm
