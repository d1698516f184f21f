// That the table agrees with llama.cpp's is tested in model/, which may include its headers.
#include "quant/tensor_type.h"

#include <set>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(TensorTypeTest, FindsEachTypeByItsNumberAndNothingElse) {
  std::set<std::uint32_t> known;
  for (const TensorTypeInfo& info : TensorTypes()) {
    const auto number = static_cast<std::uint32_t>(info.type);
    known.insert(number);
    ASSERT_EQ(FindTensorType(number), &info) << info.name;
  }
  EXPECT_EQ(known.size(), TensorTypes().size());
  for (std::uint32_t number = 0; number < 1000; ++number) {
    EXPECT_EQ(FindTensorType(number) != nullptr, known.contains(number)) << number;
  }
  EXPECT_EQ(FindTensorType(0xFFFFFFFF), nullptr);
}

TEST(TensorTypeTest, KnowsBlockSizesOfCommonTypes) {
  const TensorTypeInfo* q4_k = FindTensorType(12);
  ASSERT_NE(q4_k, nullptr);
  EXPECT_EQ(q4_k->name, "Q4_K");
  EXPECT_EQ(q4_k->block_elements, 256U);
  EXPECT_EQ(q4_k->block_bytes, 144U);  // 4.5 bits an element
  const TensorTypeInfo* f32 = FindTensorType(0);
  ASSERT_NE(f32, nullptr);
  EXPECT_EQ(f32->block_elements, 1U);
  EXPECT_EQ(f32->block_bytes, 4U);
}

TEST(TensorTypeTest, RemovedTypesAreUnknown) {
  for (const std::uint32_t number : {4, 5, 31, 32, 33, 36, 37, 38}) EXPECT_EQ(FindTensorType(number), nullptr) << number;
}

}  // namespace
}  // namespace cllm
