#include "engine/llamacpp/text_pool.h"

#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::vector<float> Pooled(Pooling pooling, const std::vector<std::vector<float>>& rows) {
  TextPool pool(pooling);
  for (int i = 0; i < static_cast<int>(rows.size()); ++i) {
    if (pool.Counts(i, i + 1 == static_cast<int>(rows.size()))) pool.Add(rows[i]);
  }
  return pool.Embedding();
}

TEST(TextPoolTest, EachPoolingTakesItsRows) {
  const std::vector<std::vector<float>> rows{{1, 2}, {3, 5}, {8, -4}};
  EXPECT_EQ(Pooled(Pooling::kMean, rows), (std::vector<float>{4, 1}));
  EXPECT_EQ(Pooled(Pooling::kCls, rows), (std::vector<float>{1, 2}));
  EXPECT_EQ(Pooled(Pooling::kLast, rows), (std::vector<float>{8, -4}));
}

TEST(TextPoolTest, ATextBeginsAnew) {
  TextPool pool(Pooling::kMean);
  pool.Add(std::vector<float>{9});
  pool.Clear();
  pool.Add(std::vector<float>{1});
  pool.Add(std::vector<float>{2});
  EXPECT_EQ(pool.Embedding(), (std::vector<float>{1.5}));
}

}  // namespace
}  // namespace cllm
