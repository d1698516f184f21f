// Our table of tensor types is llama.cpp's.
#include "quant/tensor_type.h"

#include <ggml.h>

#include <algorithm>
#include <cctype>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

TEST(TensorTypeAgreementTest, EveryTypeOfGgmlAndNoOther) {
  for (std::uint32_t number = 0; number < GGML_TYPE_COUNT + 100U; ++number) {
    const auto type = static_cast<ggml_type>(number);
    const TensorTypeInfo* ours = FindTensorType(number);
    const bool known = number < GGML_TYPE_COUNT && ggml_blck_size(type) > 0;
    ASSERT_EQ(ours != nullptr, known) << number;
    if (!known) continue;
    EXPECT_EQ(ours->block_elements, ggml_blck_size(type)) << ours->name;
    EXPECT_EQ(ours->block_bytes, ggml_type_size(type)) << ours->name;
    EXPECT_EQ(Lower(ours->name), Lower(ggml_type_name(type)));
  }
}

}  // namespace
}  // namespace cllm
