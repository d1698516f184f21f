// Our reading of quantised blocks is ggml's.
#include "quant/code_block.h"

#include <cmath>
#include <vector>

#include <ggml.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace cllm {
namespace {

TEST(CodeBlockAgreementTest, DequantisesAsGgml) {
  std::uint64_t counter = 0;
  int types = 0;
  for (const TensorTypeInfo& info : TensorTypes()) {
    if (!FindCodeFormat(info.type)) continue;
    ++types;
    EXPECT_EQ(FindCodeFormat(info.type)->block, static_cast<int>(info.block_elements)) << info.name;
    constexpr int kElements = 1024;
    std::vector<float> numbers(kElements), expected(kElements);
    for (float& number : numbers) number = static_cast<float>(UniformAt(3, 0, counter++) * 2 - 0.7);
    const auto type = static_cast<ggml_type>(info.type);
    std::vector<std::byte> row(ggml_row_size(type, kElements));
    ggml_quantize_chunk(type, numbers.data(), row.data(), 0, 1, kElements, nullptr);
    ggml_get_type_traits(type)->to_float(row.data(), expected.data(), kElements);
    std::vector<double> found(kElements);
    Dequantise(info.type, row.data(), found);
    for (int i = 0; i < kElements; ++i) {
      EXPECT_NEAR(found[i], expected[i], 1e-6) << info.name << " " << i;
      EXPECT_NEAR(found[i], numbers[i], 0.2) << info.name << " " << i;
    }
  }
  EXPECT_EQ(types, 8);
}

}  // namespace
}  // namespace cllm
