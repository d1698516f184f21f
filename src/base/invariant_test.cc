#include "base/invariant.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(InvariantDeathTest, ABrokenRuleEndsTheProcessWithItsName) {
  CheckInvariant(true, "one is one");
  EXPECT_DEATH(CheckInvariant(false, "one is two"), "invariant broken: one is two");
}

}  // namespace
}  // namespace cllm
