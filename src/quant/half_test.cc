#include "quant/half.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(HalfTest, EveryBitPatternIsItsNumber) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    const float found = FromHalf(static_cast<std::uint16_t>(bits));
    EXPECT_EQ(std::signbit(found), bits >= 0x8000) << bits;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << bits;
    } else {
      EXPECT_EQ(std::abs(found), expected) << bits;
    }
  }
}

}  // namespace
}  // namespace cllm
