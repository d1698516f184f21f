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
  const CacheRoot owners = roots.Of("owner", "");
  const CacheRoot used = roots.Of("owner", "second");
  std::set<CacheRoot> all{owners, used, roots.Of("owner", "first")};
  for (std::size_t i = 0; i < CacheRoots::kMost; ++i) {
    EXPECT_TRUE(all.insert(roots.Of("", std::to_string(i))).second);
    EXPECT_EQ(roots.Of("owner", "second"), used);
  }
  EXPECT_TRUE(all.insert(roots.Of("owner", "first")).second) << "a root is never another's again";
  EXPECT_EQ(roots.Of("owner", ""), owners) << "nobody's salts push an owner's own root out";
}

}  // namespace
}  // namespace cllm
