// Which instruction sets kernels are fast with.
#pragma once

#include <cstdint>

#include <hwy/detect_targets.h>
#include <hwy/targets.h>

namespace cllm {

// Those that kernels are compiled for and this machine has, but for the ones without fused multiply-add or vectors.
inline std::int64_t FastInstructionSets() {
  constexpr std::int64_t kSlow = HWY_SSE2 | HWY_SSSE3 | HWY_SSE4 | HWY_EMU128 | HWY_SCALAR;
  return hwy::SupportedTargets() & HWY_TARGETS & ~kSlow;
}

}  // namespace cllm
