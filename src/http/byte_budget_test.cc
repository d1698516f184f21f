#include "http/byte_budget.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ByteBudgetTest, AllTogetherHaveOneLimit) {
  ByteBudget budget(100);
  ByteBudget::Share first(budget);
  EXPECT_TRUE(first.Hold(60));
  {
    ByteBudget::Share second(budget);
    EXPECT_TRUE(second.Hold(40));
    EXPECT_FALSE(second.Hold(41));
    EXPECT_EQ(budget.held(), 101U) << "until it lets go";
    EXPECT_TRUE(second.Hold(0));
    EXPECT_TRUE(first.Hold(100));
    EXPECT_FALSE(second.Hold(1));
  }
  EXPECT_EQ(budget.held(), 100U) << "who dies holds nothing";
  EXPECT_TRUE(first.Hold(50));
  EXPECT_EQ(budget.held(), 50U);
}

}  // namespace
}  // namespace cllm
