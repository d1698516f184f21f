// The exponential function of the samplers: the same bytes with every compiler, C library and vector width.
#pragma once

#include <bit>
#include <cstdint>

namespace cllm {

// Below it ExpOfNegative knows no numbers; at it, it is 0.
inline constexpr double kLowestExponent = -709.0;

// exp(x) for kLowestExponent <= x <= 0, to within 1e-14 of its value; 0 below -708.75, where doubles begin to lose digits.
// Argument reduction with a ln 2 in two parts (Cody and Waite, Software Manual for the Elementary Functions, chapter 6), then
// Taylor's polynomial. It has no branches and calls nothing, so compilers compute neighbours in a loop in vector registers.
inline double ExpOfNegative(double x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 0x1.62e42fee00000p-1;  // 21 low bits are zero: a product with |n| <= 1023 is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  // Adding it rounds to the nearest integer, which then stands in the low bits.
  constexpr double kRounder = 0x1.8p52;

  const double rounded = x * kLog2E + kRounder;
  const double n = rounded - kRounder;
  const double r = (x - n * kLn2High) - n * kLn2Low;  // |r| <= ln 2 / 2; the first term left out is r^12 / 12!
  double sum = 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 1.0 / 2;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  // 2^n; the exponent bits of -1023 are 0, which makes the number 0.
  constexpr std::uint64_t kExponentBias = 1023;
  constexpr int kMantissaBits = 52;
  const auto power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(rounded) + kExponentBias) << kMantissaBits);
  return sum * power;
}

}  // namespace cllm
