// Products of quantised weights with a few or many input rows: one kernel for any number of rows.
//
// Weights are packed into strips of 16 output rows, so that a lane of a vector is an output and no sum crosses lanes. Inputs are
// quantised to 8 bits in the blocks of the weights (32 or 256 elements, scale = greatest magnitude / 127, rounded half to even).
// Inside a block the products are summed as integers, exactly; blocks are added in their order, in 32-bit floats with fused
// multiply-add:
//   blocks of 32, no min    sum += (d * scale of the input) * dot
//   blocks of 32, with min  the same, then sum += m * (scale of the input * sum of its codes)
//   blocks of 256           sum += scale of the input * (d * dots - m * mins): dots and mins are integers, weighted by the block's
//                           scales and mins; without mins it is d * dots
// So an output has the same bytes with every number of rows, threads and lanes, and on every instruction set. An input block
// whose scale would be under the smallest normal number counts as zeros; one that isn't finite makes its row's outputs NaN.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/code_block.h"

namespace cllm {

inline constexpr int kStripOutputs = 16;

class MatmulKernel {
 public:
  // Whether this processor has what it takes (fused multiply-add and conversion of 16-bit floats).
  static bool IsFast();

  // Whether there is a kernel for rows of `inputs` elements of `type`.
  static bool Takes(TensorType type, std::int64_t inputs);

  // For a type and size that it takes; `outputs` is the number of the weights' rows.
  MatmulKernel(TensorType type, std::int64_t inputs, std::int64_t outputs);

  int strips() const { return static_cast<int>((outputs_ + kStripOutputs - 1) / kStripOutputs); }
  std::size_t strip_size() const { return codes_size_ + scales_size_; }  // bytes, a multiple of 64
  std::size_t packed_size() const { return strips() * strip_size(); }
  std::size_t quantised_size() const { return quantised_size_; }  // bytes of one input row, a multiple of 64

  // Packs all weights, given as rows of GGUF blocks; outputs that the last strip lacks become zeros.
  void Pack(const std::byte* rows, std::byte* packed) const;

  void Quantise(const float* input, std::byte* quantised) const;

  // Computes the outputs of strips [first_strip, last_strip) for `rows` quantised inputs, quantised_size() apart. Output o of row r
  // goes to outputs[r * output_stride + o].
  void Multiply(const std::byte* packed, int first_strip, int last_strip, const std::byte* quantised, int rows, float* outputs,
                std::ptrdiff_t output_stride) const;

 private:
  void PackStrip(const std::byte* rows, int count, std::byte* strip) const;
  void PackBlock(const CodeBlock& block, int number, int output, std::byte* strip) const;

  TensorType type_;
  CodeFormat format_;
  std::size_t block_bytes_;  // of a GGUF block
  std::int64_t inputs_;
  std::int64_t outputs_;
  std::size_t codes_size_;  // bytes of a strip's codes and of what follows them
  std::size_t scales_size_;
  std::size_t quantised_size_;
};

}  // namespace cllm
