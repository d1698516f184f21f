// How MatmulKernel lays out packed weights and quantised inputs.
//
// A strip is the codes of all its blocks, 32 inputs after 32, then their scales, block after block. 32 inputs of 16 outputs are
// "quads" 0 to 7, of four inputs each: a 32-bit lane for each output. Of codes of 8 bits the quads follow each other, 64 bytes
// each. Of shorter ones there are planes of 64 bytes: four with the low 4 bits of quads q (low half of a byte) and q + 4 (high
// half); then, for 5 bits, one whose bit q is the fifth of quad q; for 6 bits, one whose bits 2q and 2q + 1 are the upper ones of
// quads 0 to 3, and one of quads 4 to 7.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/code_block.h"

namespace cllm {

inline constexpr int kMatmulLanes = 16;  // kStripOutputs
inline constexpr int kMatmulSub = 32;    // inputs whose codes lie together
inline constexpr int kMatmulPlane = 64;  // bytes

constexpr std::size_t RoundedToPlanes(std::size_t bytes) { return (bytes + kMatmulPlane - 1) / kMatmulPlane * kMatmulPlane; }

struct MatmulLayout {
  // Of a strip, in bytes.
  int sub_codes;     // codes of kMatmulSub inputs
  int block_scales;  // of a block: scales, pairs of mins, d, m
  int mins_at;       // in these
  int d_at;
  int m_at;
  // Of a quantised row: how many sums of codes a block has, each of 4 bytes. With mins of 32 they are 16 bits each.
  int block_sums;

  constexpr explicit MatmulLayout(const CodeFormat& format)
      : sub_codes(kMatmulLanes * kMatmulSub * format.code_bits / 8), block_scales(0), mins_at(0), d_at(0), m_at(0), block_sums(1) {
    const bool is_long = format.scale_group != 0;
    mins_at = is_long ? format.block / format.scale_group * kMatmulLanes : 0;
    d_at = mins_at + (is_long && format.has_min ? kMostMins * kMatmulLanes : 0);
    m_at = d_at + 2 * kMatmulLanes;
    block_scales = m_at + (format.has_min ? 2 * kMatmulLanes : 0);
    if (is_long) block_sums = format.has_min ? kMostMins / 2 : format.block / format.scale_group;
  }
};

// A quantised row: codes of 8 bits, a scale for each block, sums.
struct QuantisedLayout {
  std::size_t scales_at;
  std::size_t sums_at;
  std::size_t size;

  constexpr QuantisedLayout(const CodeFormat& format, std::size_t inputs) : scales_at(RoundedToPlanes(inputs)), sums_at(0), size(0) {
    const std::size_t blocks = inputs / format.block;
    sums_at = scales_at + blocks * sizeof(float);
    size = RoundedToPlanes(sums_at + blocks * MatmulLayout(format).block_sums * 4);
  }
};

// One product, as MatmulKernel hands it to its instruction sets.
struct MatmulProduct {
  const std::byte* packed;
  std::size_t codes_size, scales_size;  // of a strip
  std::int64_t inputs, outputs_of_weights;
  int first_strip, last_strip;
  const std::byte* quantised;
  int rows;
  float* outputs;
  std::ptrdiff_t output_stride;
};

}  // namespace cllm
