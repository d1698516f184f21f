#include "sampling/exp.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ExpOfNegative, IsWithinItsToleranceOfTheExponential) {
  double worst = 0.0;
  for (int i = 0; i <= 708'000; ++i) {
    const double x = -i * 0.001 - 1e-7 * (i % 7);
    if (x < -708.0) break;
    const double exact = std::exp(x);
    worst = std::max(worst, std::abs(ExpOfNegative(x) - exact) / exact);
  }
  EXPECT_LT(worst, 1e-14);
  EXPECT_GT(worst, 0.0);
}

TEST(ExpOfNegative, IsExactAtItsEnds) {
  EXPECT_EQ(ExpOfNegative(0.0), 1.0);
  EXPECT_EQ(ExpOfNegative(-0.0), 1.0);
  EXPECT_EQ(ExpOfNegative(-std::numeric_limits<double>::min()), 1.0);
  EXPECT_EQ(ExpOfNegative(-708.75), 0.0);
  EXPECT_EQ(ExpOfNegative(kLowestExponent), 0.0);
  EXPECT_GT(ExpOfNegative(-708.0), 0.0);
}

// At the half multiples of ln 2 the reduced argument is longest and its sign changes.
TEST(ExpOfNegative, NeverRisesTowardsLowerArguments) {
  for (int half = 1; half <= 2045; ++half) {
    double x = -half * 0.34657359027997264;
    double last = ExpOfNegative(x + 1e-9);
    for (int i = 0; i < 50; ++i) {
      const double value = ExpOfNegative(x);
      ASSERT_LE(value, last * (1 + 1e-14)) << x;
      last = value;
      x -= 1e-11;
    }
  }
}

// The bytes are part of the answer of a seeded request: these may never change.
TEST(ExpOfNegative, KeepsItsBytes) {
  EXPECT_EQ(ExpOfNegative(-1.0), 0x1.78b56362cef2bp-2);
  EXPECT_EQ(ExpOfNegative(-0.1), 0x1.cf46d99d52b3ap-1);
  EXPECT_EQ(ExpOfNegative(-20.25), 0x1.b93de1e27ca3bp-30);
  EXPECT_EQ(ExpOfNegative(-700.5), 0x1.4ff475c68cap-1011);
}

}  // namespace
}  // namespace cllm
