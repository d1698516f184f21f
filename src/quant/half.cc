#include "quant/half.h"

#include <bit>

namespace cllm {

float FromHalf(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7FFFU;
  // With this exponent a half's fraction stands for itself; a factor of two to the power of 112 makes up for the exponents' biases.
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  const std::uint32_t positive = magnitude >= 0x7C00U ? (magnitude << 13 | 0x7F800000U) : std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>(positive | sign);
}

}  // namespace cllm
