// For tests of kernels: the instruction sets of this machine.
#pragma once

#include <cstdint>

#include <gtest/gtest.h>
#include <hwy/detect_targets.h>
#include <hwy/targets.h>

namespace cllm {

// Runs `check` once with each instruction set of this machine that kernels are compiled for and fast with.
template <typename Check>
void OnEachInstructionSet(const Check& check) {
  const std::int64_t all = hwy::SupportedTargets() & HWY_TARGETS;
  for (std::int64_t left = all; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    if ((target & (HWY_SSE2 | HWY_SSSE3 | HWY_SSE4 | HWY_EMU128 | HWY_SCALAR)) != 0) continue;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check();
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace cllm
