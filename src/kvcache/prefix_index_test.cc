#include "kvcache/prefix_index.h"

#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Tokens = std::vector<TokenId>;

// Once with good hashes and once with hashes that all collide.
class PrefixIndexTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  PrefixIndex index_{8, GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Hashes, PrefixIndexTest, testing::Values(~std::uint64_t{0}, std::uint64_t{0}));

TEST_P(PrefixIndexTest, FindsABlockByItsTokensAndWhatIsBeforeThem) {
  const PrefixId first = index_.Insert(kEmptyPrefix, Tokens{1, 2}, 3);
  const PrefixId second = index_.Insert(first, Tokens{1, 2}, 5);
  EXPECT_NE(first, second);
  const auto found = index_.Find(kEmptyPrefix, Tokens{1, 2});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->block, 3);
  EXPECT_EQ(found->prefix, first);
  const auto next = index_.Find(first, Tokens{1, 2});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->block, 5);
  EXPECT_FALSE(index_.Find(second, Tokens{1, 2}));
  EXPECT_FALSE(index_.Find(kEmptyPrefix, Tokens{1, 3}));
  EXPECT_FALSE(index_.Find(kEmptyPrefix, Tokens{1}));
}

TEST_P(PrefixIndexTest, ATwinLeavesTheFirstOneInPlace) {
  const PrefixId prefix = index_.Insert(kEmptyPrefix, Tokens{1, 2}, 0);
  EXPECT_EQ(index_.Insert(kEmptyPrefix, Tokens{1, 2}, 1), prefix);
  EXPECT_TRUE(index_.Contains(0));
  EXPECT_FALSE(index_.Contains(1));
  index_.Erase(1);
  EXPECT_EQ(index_.Find(kEmptyPrefix, Tokens{1, 2})->block, 0);
}

TEST_P(PrefixIndexTest, ABlockThatIsFilledAnewIsNoPrefixOfWhatStoodBehindIt) {
  const PrefixId old = index_.Insert(kEmptyPrefix, Tokens{1, 2}, 0);
  index_.Insert(old, Tokens{3, 4}, 1);
  index_.Erase(0);
  EXPECT_FALSE(index_.Find(kEmptyPrefix, Tokens{1, 2}));
  const PrefixId other = index_.Insert(kEmptyPrefix, Tokens{7, 8}, 0);
  EXPECT_FALSE(index_.Find(other, Tokens{3, 4}));
  const PrefixId again = index_.Insert(kEmptyPrefix, Tokens{1, 2}, 2);
  EXPECT_FALSE(index_.Find(again, Tokens{3, 4})) << "the same tokens, computed again, are a new prefix";
}

}  // namespace
}  // namespace cllm
