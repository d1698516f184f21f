#include "kernels/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "kernels/testing_targets.h"

namespace cllm {
namespace {

constexpr std::uint16_t kSeen = 0;
constexpr std::uint16_t kHidden = 0xFC00;
constexpr std::uint16_t kNan = 0x7E00;

// The F16 of small multiples of 1/64, exactly.
std::uint16_t ToF16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7FFFFFFF) == 0) return static_cast<std::uint16_t>(bits >> 16);
  const std::uint32_t exponent = ((bits >> 23) & 0xFF) - 127 + 15;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000) | exponent << 10 | (bits >> 13 & 0x3FF));
}

// Queries of one KV head over many positions, with what they attend to.
struct Case {
  int key_size, value_size, queries, positions;
  std::vector<float> query, key, value;
  std::vector<std::uint16_t> key16, value16;
  std::vector<std::uint16_t> mask;  // queries × positions

  // Query q sees the first `first_seen` + q positions.
  Case(int keys, int values, int query_count, int position_count, int first_seen)
      : key_size(keys), value_size(values), queries(query_count), positions(position_count) {
    std::uint64_t counter = 0;
    const auto number = [&counter] {  // in steps of 1/64 between -2 and 2
      return static_cast<float>(static_cast<int>(UniformAt(7, 0, counter++) * 256) - 128) / 64;
    };
    for (int i = 0; i < queries * key_size; ++i) query.push_back(number() * 0.4F);
    for (int i = 0; i < positions * key_size; ++i) key16.push_back(ToF16(key.emplace_back(number())));
    for (int i = 0; i < positions * value_size; ++i) value16.push_back(ToF16(value.emplace_back(number())));
    for (int q = 0; q < queries; ++q) {
      for (int p = 0; p < positions; ++p) mask.push_back(p < first_seen + q ? kSeen : kHidden);
    }
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(key_size)); }

  // In double precision, one query after the other.
  std::vector<double> Reference() const {
    std::vector<double> outputs;
    for (int q = 0; q < queries; ++q) {
      std::vector<double> weighted(value_size, 0);
      std::vector<double> scores(positions, -std::numeric_limits<double>::infinity());
      double highest = scores.empty() ? 0 : scores[0];
      for (int p = 0; p < positions; ++p) {
        if (mask[q * positions + p] != kSeen) continue;
        scores[p] = 0;
        for (int i = 0; i < key_size; ++i) scores[p] += static_cast<double>(query[q * key_size + i]) * key[p * key_size + i];
        scores[p] *= scale();
        highest = std::max(highest, scores[p]);
      }
      double sum = 0;
      for (int p = 0; p < positions; ++p) {
        if (mask[q * positions + p] != kSeen) continue;
        const double weight = std::exp(scores[p] - highest);
        sum += weight;
        for (int i = 0; i < value_size; ++i) weighted[i] += weight * value[p * value_size + i];
      }
      for (const double element : weighted) outputs.push_back(sum > 0 ? element / sum : 0);
    }
    return outputs;
  }

  // `together` queries a call.
  std::vector<float> Compute(int together) const {
    const AttentionKernel kernel(key_size, value_size, scale());
    std::vector<float> scratch(kernel.scratch_size());
    std::vector<float> outputs(static_cast<std::size_t>(queries) * value_size);
    for (int first = 0; first < queries; first += together) {
      const int count = std::min(together, queries - first);
      std::vector<float> states(static_cast<std::size_t>(count) * kernel.state_size());
      std::vector<float> totals(states.size(), -std::numeric_limits<float>::infinity());
      for (int position = 0; position < positions; position += kAttentionSpan) {
        std::vector<AttentionQuery> asked;
        for (int q = first; q < first + count; ++q) {
          asked.push_back({.query = &query[q * key_size], .mask = &mask[q * positions + position]});
        }
        kernel.Attend({.positions = std::min(kAttentionSpan, positions - position),
                       .keys = &key16[position * key_size],
                       .values = &value16[position * value_size],
                       .key_stride = key_size,
                       .value_stride = value_size},
                      asked, scratch.data(), states.data());
        kernel.Combine(states.data(), count, totals.data());
      }
      for (int q = 0; q < count; ++q) {
        kernel.Finish(&totals[q * kernel.state_size()], &outputs[(first + q) * value_size]);
      }
    }
    return outputs;
  }
};

bool SameBytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Attention : public testing::Test {
 protected:
  void SetUp() override {
    if (!AttentionKernel::IsFast()) GTEST_SKIP() << "this processor has no fused multiply-add";
  }
};

TEST_F(Attention, IsTheWeightedMeanOfTheValues) {
  for (const auto& [keys, values, queries, positions, seen] : {std::array{64, 64, 3, 256, 200},
                                                               {128, 128, 8, 1000, 900},
                                                               {64, 64, 1, 1, 1},
                                                               {80, 96, 7, 300, 1},
                                                               {8, 16, 64, 65, 1},
                                                               {256, 256, 13, 515, 500},
                                                               {96, 80, 6, 64, 64},
                                                               {128, 64, 5, 257, 257}}) {
    const Case c(keys, values, queries, positions, seen);
    const auto expected = c.Reference();
    OnEachInstructionSet([&] {
      const auto outputs = c.Compute(kMostAttentionQueries);
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        ASSERT_NEAR(outputs[i], expected[i], 1e-5) << keys << " " << values << " " << queries << " " << positions << " at " << i;
      }
    });
  }
}

TEST_F(Attention, HasTheSameBytesHoweverManyQueriesAreComputedTogether) {
  const Case c(64, 64, 40, 700, 650);
  const auto alone = c.Compute(1);
  for (const int together : {2, 3, 5, 6, 7, 12, 40}) EXPECT_TRUE(SameBytes(c.Compute(together), alone)) << together;
}

TEST_F(Attention, HasTheSameBytesOnEveryInstructionSet) {
  const Case c(80, 112, 17, 700, 600);
  const auto expected = c.Compute(17);
  OnEachInstructionSet([&] { EXPECT_TRUE(SameBytes(c.Compute(17), expected)); });
}

// Positions behind a query's own are padding, or belong to requests that are gone.
TEST_F(Attention, HiddenPositionsChangeNothing) {
  const Case few(64, 64, 4, 260, 257);
  Case many(64, 64, 4, 900, 257);
  std::ranges::copy(few.query, many.query.begin());
  std::ranges::fill(many.key16, kNan);
  std::ranges::fill(many.value16, kNan);
  std::ranges::copy(few.key16, many.key16.begin());
  std::ranges::copy(few.value16, many.value16.begin());
  EXPECT_TRUE(SameBytes(few.Compute(4), many.Compute(4)));
}

TEST_F(Attention, HiddenPositionsBetweenOthersMayHoldAnything) {
  Case c(64, 64, 2, 200, 200);
  for (const int hidden : {0, 3, 63, 64, 130, 199}) {
    for (int q = 0; q < 2; ++q) c.mask[q * 200 + hidden] = kHidden;
    std::fill_n(&c.key16[hidden * 64], 64, kNan);
    std::fill_n(&c.value16[hidden * 64], 64, kNan);
  }
  const auto expected = c.Reference();
  const auto outputs = c.Compute(2);
  for (std::size_t i = 0; i < outputs.size(); ++i) ASSERT_NEAR(outputs[i], expected[i], 1e-5) << i;
}

// As before a sliding window.
TEST_F(Attention, SpansThatAreHiddenChangeNothing) {
  Case c(64, 64, 2, 700, 700);
  for (int q = 0; q < 2; ++q) std::fill_n(&c.mask[q * 700], 530, kHidden);
  const auto expected = c.Reference();
  const auto outputs = c.Compute(2);
  for (std::size_t i = 0; i < outputs.size(); ++i) ASSERT_NEAR(outputs[i], expected[i], 1e-5) << i;
}

TEST_F(Attention, WithoutAMaskSeesAll) {
  const Case c(64, 64, 1, 100, 100);
  const AttentionKernel kernel(64, 64, c.scale());
  std::vector<float> scratch(kernel.scratch_size());
  std::vector<float> state(static_cast<std::size_t>(kernel.state_size()));
  std::vector<float> output(64);
  const AttentionQuery query{.query = c.query.data(), .mask = nullptr};
  kernel.Attend({.positions = 100, .keys = c.key16.data(), .values = c.value16.data(), .key_stride = 64, .value_stride = 64}, {&query, 1},
                scratch.data(), state.data());
  kernel.Finish(state.data(), output.data());
  EXPECT_TRUE(SameBytes(output, c.Compute(1)));
}

TEST_F(Attention, OfNothingIsZero) {
  const Case c(64, 64, 1, 300, 0);
  for (const float element : c.Compute(1)) EXPECT_EQ(element, 0);
}

// A broken request shows that it is, and only that.
TEST_F(Attention, NanStaysInItsOwnQuery) {
  Case c(64, 64, 3, 300, 300);
  const auto whole = c.Compute(3);
  c.query[64] = std::numeric_limits<float>::quiet_NaN();
  const auto broken = c.Compute(3);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(broken[i], whole[i]);
    EXPECT_TRUE(std::isnan(broken[64 + i]));
    EXPECT_EQ(broken[128 + i], whole[128 + i]);
  }
}

TEST_F(Attention, LargeScoresDoNotOverflow) {
  Case c(64, 64, 1, 300, 300);
  for (float& element : c.query) element *= 1000;
  const auto expected = c.Reference();
  const auto outputs = c.Compute(1);
  for (std::size_t i = 0; i < outputs.size(); ++i) ASSERT_NEAR(outputs[i], expected[i], 1e-3) << i;
}

TEST_F(Attention, MasksThatAreNumbersAreAdded) {
  Case c(64, 64, 1, 2, 2);
  c.mask[1] = ToF16(-1);
  Case plain = c;
  plain.mask[1] = kSeen;
  // exp(score - 1) instead of exp(score): a weight e times as small.
  const auto with = c.Compute(1);
  const auto without = plain.Compute(1);
  const double share = (without[0] - c.value[0]) / (c.value[64] - c.value[0]);
  const double expected = share / (share + (1 - share) * std::exp(1.0));
  EXPECT_NEAR((with[0] - c.value[0]) / (c.value[64] - c.value[0]), expected, 1e-5);
}

}  // namespace
}  // namespace cllm
