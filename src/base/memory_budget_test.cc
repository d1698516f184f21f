#include "base/memory_budget.h"

#include <utility>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(MemoryBudgetTest, SharesTakeNoMoreThanThereIs) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  MemoryShare one(budget);
  MemoryShare other(budget);
  EXPECT_TRUE(one.Resize(60));
  EXPECT_FALSE(other.Resize(41));
  EXPECT_EQ(other.bytes(), 0U) << "as it was";
  EXPECT_TRUE(other.Resize(40));
  EXPECT_FALSE(one.Resize(61));
  EXPECT_TRUE(one.Resize(10));
  EXPECT_TRUE(other.Resize(90));
  EXPECT_EQ(budget->used(), 100U);
}

TEST(MemoryBudgetTest, WhatEndsGivesBack) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  {
    MemoryShare share(budget);
    EXPECT_TRUE(share.Resize(70));
    const MemoryShare moved(std::move(share));
    EXPECT_EQ(budget->used(), 70U) << "once";
    EXPECT_EQ(moved.bytes(), 70U);
  }
  EXPECT_EQ(budget->used(), 0U);
  MemoryShare replaced(budget);
  EXPECT_TRUE(replaced.Resize(30));
  replaced = MemoryShare(budget);
  EXPECT_EQ(budget->used(), 0U);
}

TEST(MemoryBudgetTest, HugeSizesDoNotWrapAround) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  MemoryShare one(budget);
  MemoryShare other(budget);
  EXPECT_TRUE(one.Resize(50));
  EXPECT_FALSE(other.Resize(static_cast<std::size_t>(-1)));
  EXPECT_FALSE(other.Resize(static_cast<std::size_t>(-40)));
  EXPECT_EQ(budget->used(), 50U);
}

TEST(MemoryBudgetTest, WithoutABudgetEverythingFits) {
  MemoryShare share;
  EXPECT_TRUE(share.Resize(static_cast<std::size_t>(-1)));
}

}  // namespace
}  // namespace cllm
