// What other programs leave of the processors that this process may run on.
#pragma once

#include <optional>

#include "base/machine.h"

namespace cllm {

class ProcessorWatch {
 public:
  struct Window {
    double seconds = 0;
    double free = 0;  // processors, on the average
  };

  // At `now`, in seconds since any moment: what has been since the last window ended, where that is a second or more ago. Nothing
  // the first time, and where the system doesn't say. Reads a file of the kernel, so not more often than once a second.
  std::optional<Window> Look(double now);

 private:
  std::optional<ProcessorTimes> times_;
  std::optional<double> looked_at_;
};

}  // namespace cllm
