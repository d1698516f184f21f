// Quantised blocks as integers: small codes with scales, in the order of their elements. What kernels pack their weights from,
// and the reference that they are tested against. The layouts are ggml's (ggml-common.h, block_q4_0 and its neighbours).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "quant/tensor_type.h"

namespace cllm {

inline constexpr int kMostBlockElements = 256;
inline constexpr int kMostScales = 16;
inline constexpr int kMostMins = 8;
inline constexpr int kElementsPerMin = 32;

// How a type writes its elements. Blocks of 32 stand for d * (code - code_offset) + m, those of 256 for
// d * scale * (code - code_offset) - m * min.
struct CodeFormat {
  int code_bits;  // of a code, which has no sign
  int code_offset;
  int block;        // elements that share d and m, 32 or 256
  int scale_group;  // elements that share a scale, 16 or 32; 0 in blocks of 32, which have none
  bool has_min;     // whether there is m, and in blocks of 256 a min for each 32 elements
  constexpr bool operator==(const CodeFormat&) const = default;
};

// What elements of `type` are written as; nullopt for types that no kernel of ours takes.
constexpr std::optional<CodeFormat> FindCodeFormat(TensorType type) {
  switch (type) {
    case TensorType::kQ4_0:
      return CodeFormat{4, 8, 32, 0, false};
    case TensorType::kQ4_1:
      return CodeFormat{4, 0, 32, 0, true};
    case TensorType::kQ5_0:
      return CodeFormat{5, 16, 32, 0, false};
    case TensorType::kQ5_1:
      return CodeFormat{5, 0, 32, 0, true};
    case TensorType::kQ8_0:
      return CodeFormat{8, 128, 32, 0, false};
    case TensorType::kQ4_K:
      return CodeFormat{4, 0, 256, 32, true};
    case TensorType::kQ5_K:
      return CodeFormat{5, 0, 256, 32, true};
    case TensorType::kQ6_K:
      return CodeFormat{6, 32, 256, 16, false};
    default:
      return std::nullopt;
  }
}

struct CodeBlock {
  std::array<std::uint8_t, kMostBlockElements> codes;
  std::array<std::int8_t, kMostScales> scales;  // 0 to 63, or any where there are 16
  std::array<std::uint8_t, kMostMins> mins;     // 0 to 63
  std::uint16_t d;                              // 16-bit floats
  std::uint16_t m;
};

// Reads one block, TensorTypeInfo::block_bytes long, of a type that has a CodeFormat. Fills what the format has.
void ReadCodeBlock(TensorType type, const std::byte* bytes, CodeBlock& block);

// The elements of a row, as many as `values` takes: a whole number of blocks.
void Dequantise(TensorType type, const std::byte* row, std::span<double> values);

}  // namespace cllm
