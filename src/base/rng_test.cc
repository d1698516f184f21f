#include "base/rng.h"

#include <array>
#include <cstdint>
#include <set>

#include "gtest/gtest.h"

namespace cllm {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers that Random123 publishes for philox4x32 with 10 rounds.
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The top 53 bits of the first two words of the first known answer.
TEST(UniformAtTest, IsTheTopBitsOfTheFirstTwoWords) {
  EXPECT_EQ(UniformAt(0, 0, 0), static_cast<double>(0x6627e8d5e169c58dULL >> 11) / 9007199254740992.0);
}

TEST(UniformAtTest, EveryBitOfEveryArgumentMatters) {
  std::set<double> seen = {UniformAt(0, 0, 0)};
  for (int bit = 0; bit < 64; ++bit) {
    seen.insert(UniformAt(std::uint64_t{1} << bit, 0, 0));
    seen.insert(UniformAt(0, 0, std::uint64_t{1} << bit));
    if (bit < 32) seen.insert(UniformAt(0, std::uint32_t{1} << bit, 0));
  }
  EXPECT_EQ(seen.size(), 1U + 64U + 64U + 32U);
}

TEST(UniformAtTest, RepeatsAndStaysInRange) {
  for (std::uint64_t position = 0; position < 100'000; ++position) {
    const double value = UniformAt(7, 1, position);
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    ASSERT_EQ(value, UniformAt(7, 1, position));
  }
}

// Pairs of neighbouring positions fall evenly into 16 x 16 cells: uniform, and no correlation from one to the next.
TEST(UniformAtTest, NeighboursAreUniformTogether) {
  constexpr int kPairs = 100'000;
  constexpr int kCells = 16;
  std::array<std::array<int, kCells>, kCells> counts{};
  for (std::uint64_t pair = 0; pair < kPairs; ++pair) {
    const auto row = static_cast<std::size_t>(UniformAt(42, 0, 2 * pair) * kCells);
    const auto column = static_cast<std::size_t>(UniformAt(42, 0, 2 * pair + 1) * kCells);
    ++counts[row][column];
  }
  const double expected = static_cast<double>(kPairs) / (kCells * kCells);
  double chi_square = 0.0;
  for (const auto& row : counts) {
    for (const int count : row) chi_square += (count - expected) * (count - expected) / expected;
  }
  // 255 degrees of freedom: the value that chance exceeds once in 10,000.
  EXPECT_LT(chi_square, 347.7);
}

}  // namespace
}  // namespace cllm
