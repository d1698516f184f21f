#include "kernels/matmul.h"

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

constexpr std::array kTypes = {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0, TensorType::kQ5_1,
                               TensorType::kQ8_0, TensorType::kQ4_K, TensorType::kQ5_K, TensorType::kQ6_K};

const TensorTypeInfo& Info(TensorType type) { return *FindTensorType(static_cast<std::uint32_t>(type)); }

// The 16-bit floats of a block: small ones, of either sign.
std::vector<int> HalvesOf(TensorType type) {
  if (type == TensorType::kQ6_K) return {208};
  return FindCodeFormat(type)->has_min ? std::vector{0, 2} : std::vector{0};
}

struct Case {
  TensorType type;
  int inputs, outputs, rows;
  std::vector<std::byte> weights;  // GGUF blocks: random bytes, but for their floats
  std::vector<float> input;

  Case(TensorType a_type, int input_count, int output_count, int row_count)
      : type(a_type), inputs(input_count), outputs(output_count), rows(row_count) {
    std::uint64_t counter = 0;
    const auto number = [&counter](double below) { return UniformAt(11, 0, counter++) * below; };
    const std::size_t block_bytes = Info(type).block_bytes;
    weights.resize(std::size_t{1} * outputs * inputs / Info(type).block_elements * block_bytes);
    for (std::byte& byte : weights) byte = static_cast<std::byte>(number(256));
    for (std::size_t at = 0; at < weights.size(); at += block_bytes) {
      for (const int half : HalvesOf(type)) {
        const auto bits = static_cast<std::uint16_t>(0x1000 + number(0x0800) + (number(2) < 1 ? 0x8000 : 0));
        std::memcpy(&weights[at + half], &bits, sizeof bits);
      }
    }
    for (int i = 0; i < rows * inputs; ++i) input.push_back(static_cast<float>(number(4) - 2 + (i % 97 == 0 ? 10 : 0)));
  }
  MatmulKernel kernel() const { return {type, inputs, outputs}; }
  std::size_t row_bytes() const { return weights.size() / outputs; }

  // Rows [first, first + count); strips in several parts.
  std::vector<float> Multiply(int first, int count) const {
    const MatmulKernel multiply = kernel();
    std::vector<std::byte> packed(multiply.packed_size()), quantised(multiply.quantised_size() * count);
    multiply.Pack(weights.data(), packed.data());
    for (int r = 0; r < count; ++r) multiply.Quantise(&input[(first + r) * inputs], &quantised[r * multiply.quantised_size()]);
    const int stride = outputs + 3;
    std::vector<float> padded(count * stride, -7);
    for (int strip = 0; strip < multiply.strips(); strip += 2) {
      multiply.Multiply(packed.data(), strip, std::min(strip + 2, multiply.strips()), quantised.data(), count, padded.data(), stride);
    }
    std::vector<float> results;
    for (int r = 0; r < count; ++r) {
      results.insert(results.end(), &padded[r * stride], &padded[r * stride] + outputs);
      for (int i = outputs; i < stride; ++i) EXPECT_EQ(padded[r * stride + i], -7) << "written behind the outputs";
    }
    return results;
  }

  // What a row's inputs are as 8 bits in the weights' blocks.
  std::vector<double> Quantised(int row) const {
    std::vector<double> values;
    const int block = FindCodeFormat(type)->block;
    for (int first = 0; first < inputs; first += block) {
      const float* from = &input[row * inputs + first];
      float most = 0;
      for (int i = 0; i < block; ++i) most = std::max(most, std::abs(from[i]));
      const float scale = most / 127;
      for (int i = 0; i < block; ++i) values.push_back(scale == 0 ? 0 : std::nearbyint(from[i] * (1 / scale)) * static_cast<double>(scale));
    }
    return values;
  }

  // The greatest distance from the product in double precision, relative to the sum of the terms' magnitudes.
  double FurthestFromReference() const {
    const std::vector<float> found = Multiply(0, rows);
    double furthest = 0;
    std::vector<double> weight(inputs);
    for (int o = 0; o < outputs; ++o) {
      Dequantise(type, &weights[o * row_bytes()], weight);
      for (int r = 0; r < rows; ++r) {
        const std::vector<double> values = Quantised(r);
        double sum = 0, magnitude = 0;
        for (int i = 0; i < inputs; ++i) {
          sum += weight[i] * values[i];
          magnitude += std::abs(weight[i] * values[i]);
        }
        const double distance = std::abs(found[r * outputs + o] - sum) / magnitude;
        if (!(distance <= furthest)) furthest = distance;
      }
    }
    return furthest;
  }
};

bool SameBytes(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Matmul : public testing::Test {
 protected:
  void SetUp() override {
    if (!MatmulKernel::IsFast()) GTEST_SKIP() << "this processor has no fused multiply-add";
  }
};

TEST_F(Matmul, IsTheProductOfTheQuantisedNumbers) {
  for (const TensorType type : kTypes) {
    const int block = FindCodeFormat(type)->block;
    for (const auto& [blocks, outputs, rows] :
         {std::array{1, 16, 1}, {1, 1, 1}, {2, 17, 3}, {3, 40, 8}, {2, 15, 13}, {18, 32, 70}, {5, 24, 4}, {4, 31, 7}}) {
      const Case c(type, blocks * block, outputs, rows);
      SCOPED_TRACE(testing::Message() << Info(type).name << " " << blocks << " blocks, " << outputs << " outputs, " << rows << " rows");
      OnEachInstructionSet([&] { EXPECT_LT(c.FurthestFromReference(), 1e-6); });
    }
  }
}

TEST_F(Matmul, HasTheSameBytesOnEveryInstructionSetAndWithAnyNumberOfRows) {
  for (const TensorType type : kTypes) {
    const Case c(type, 768, 50, 21);
    SCOPED_TRACE(Info(type).name);
    const std::vector<float> together = c.Multiply(0, c.rows);
    OnEachInstructionSet([&] {
      EXPECT_TRUE(SameBytes(c.Multiply(0, c.rows), together));
      for (const auto& [first, count] : {std::array{0, 1}, {20, 1}, {3, 2}, {7, 5}, {1, 8}, {4, 15}}) {
        EXPECT_TRUE(SameBytes(c.Multiply(first, count), std::span(together).subspan(first * c.outputs, count * c.outputs))) << count;
      }
    });
  }
}

// Codes at their ends, inputs at theirs: nothing overflows.
TEST_F(Matmul, SumsTheGreatestNumbersExactly) {
  for (const TensorType type : kTypes) {
    Case c(type, 512, 16, 9);
    const std::size_t block_bytes = Info(type).block_bytes;
    for (std::size_t i = 0; i < c.weights.size(); ++i) {
      const auto at = static_cast<int>(i % block_bytes);
      const auto is_half = [at](int half) { return at == half || at == half + 1; };
      if (!std::ranges::any_of(HalvesOf(type), is_half)) c.weights[i] = static_cast<std::byte>(i / block_bytes % 2 == 0 ? 0xFF : 0x80);
    }
    for (std::size_t i = 0; i < c.input.size(); ++i) c.input[i] = i / c.inputs % 3 == 0 ? 2.5F : -2.5F;
    OnEachInstructionSet([&] { EXPECT_LT(c.FurthestFromReference(), 1e-6) << Info(type).name; });
  }
}

TEST_F(Matmul, CountsTinyBlocksAsZeros) {
  for (const TensorType type : kTypes) {
    Case c(type, 512, 16, 2);
    std::fill_n(c.input.begin(), c.inputs, 0.0F);
    for (int i = 0; i < c.inputs; ++i) c.input[i] = 1e-37F * static_cast<float>(i % 3);
    OnEachInstructionSet([&] {
      const std::vector<float> found = c.Multiply(0, 2);
      for (int o = 0; o < c.outputs; ++o) EXPECT_EQ(found[o], 0);
      EXPECT_NE(found[c.outputs], 0);
    });
  }
}

TEST_F(Matmul, GivesNanForARowThatIsNotFiniteAndForNoOther) {
  for (const TensorType type : kTypes) {
    const Case good(type, 768, 20, 10);
    const std::vector<float> expected = good.Multiply(0, good.rows);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN()}) {
      Case c = good;
      c.input[4 * c.inputs + 300] = bad;
      OnEachInstructionSet([&] {
        const std::vector<float> found = c.Multiply(0, c.rows);
        for (int r = 0; r < c.rows; ++r) {
          for (int o = 0; o < c.outputs; ++o) {
            const float value = found[r * c.outputs + o];
            if (r == 4) {
              EXPECT_TRUE(std::isnan(value));
            } else {
              EXPECT_EQ(value, expected[r * c.outputs + o]);
            }
          }
        }
      });
    }
  }
}

TEST_F(Matmul, SaysWhatItTakes) {
  EXPECT_TRUE(MatmulKernel::Takes(TensorType::kQ4_1, 576));
  EXPECT_FALSE(MatmulKernel::Takes(TensorType::kQ4_1, 0));
  EXPECT_FALSE(MatmulKernel::Takes(TensorType::kQ4_K, 576));
  EXPECT_TRUE(MatmulKernel::Takes(TensorType::kQ6_K, 1024));
  EXPECT_FALSE(MatmulKernel::Takes(TensorType::kF16, 1024));
  EXPECT_FALSE(MatmulKernel::Takes(TensorType::kQ2_K, 1024));
}

}  // namespace
}  // namespace cllm
