// For tests of kernels: the instruction sets of this machine.
#pragma once

#include <cstdint>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "kernels/instruction_sets.h"

namespace cllm {

// Runs `check` once with each instruction set of this machine that kernels are compiled for and fast with.
template <typename Check>
void OnEachInstructionSet(const Check& check) {
  for (std::int64_t left = FastInstructionSets(); left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check();
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace cllm
