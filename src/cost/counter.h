// Counts what code costs, the same on every machine.
#pragma once

#include <cstdint>
#include <functional>

namespace cllm {

struct Cost {
  std::int64_t steps = 0;      // basic blocks that were run, of sources that are compiled with -fsanitize-coverage=trace-pc
  std::int64_t allocated = 0;  // bytes, all that were asked for
};

// What `work` costs on this thread.
Cost CostOf(const std::function<void()>& work);

}  // namespace cllm
