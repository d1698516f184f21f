// The tensor types of GGUF files: how each packs its elements into blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cllm {

// The numbers that GGUF files use. Those of removed types are missing.
enum class TensorType : std::uint8_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;         // as users write it: "Q4_K"
  std::uint32_t block_elements;  // a row holds a multiple of these
  std::uint32_t block_bytes;
};

// Every type, by rising number.
std::span<const TensorTypeInfo> TensorTypes();

// The type with this number in a file; nullptr where there is none (any more).
const TensorTypeInfo* FindTensorType(std::uint32_t number);

}  // namespace cllm
