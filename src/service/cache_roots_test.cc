#include "service/cache_roots.h"

#include <set>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(CacheRootsTest, EachOwnerAndSaltHasOneRoot) {
  CacheRoots roots;
  EXPECT_EQ(roots.Of("", ""), kCommonRoot);
  const std::set<CacheRoot> all{kCommonRoot, roots.Of("a", ""), roots.Of("", "a"), roots.Of("a", "a"), roots.Of("aa", "")};
  EXPECT_EQ(all.size(), 5U);
  EXPECT_EQ(roots.Of("a", "a"), roots.Of("a", "a"));
}

TEST(CacheRootsTest, WhatIsForgottenGetsANewRoot) {
  CacheRoots roots;
  const CacheRoot forgotten = roots.Of("first", "");
  const CacheRoot used = roots.Of("second", "");
  std::set<CacheRoot> all{forgotten, used};
  for (std::size_t i = 0; i < CacheRoots::kMost; ++i) {
    EXPECT_TRUE(all.insert(roots.Of("", std::to_string(i))).second);
    EXPECT_EQ(roots.Of("second", ""), used);
  }
  EXPECT_TRUE(all.insert(roots.Of("first", "")).second) << "a root is never another's again";
}

}  // namespace
}  // namespace cllm
