// Whoever started work that may take its time looks on.
#pragma once

#include <functional>

#include "base/stop_check.h"

namespace cllm {

struct WorkWatch {
  StopCheck stop{};
  std::function<void(double)> on_progress{};  // how much of the work is done, from 0 to 1; never less than before

  // Says how far the work is; an error means that nobody wants the rest.
  Status Report(double done) const {
    if (on_progress) on_progress(done);
    return stop ? stop() : Status();
  }
  // What a part of the work reports, as that part of the whole.
  WorkWatch Part(double from, double to) const {
    if (!on_progress) return *this;
    return {.stop = stop, .on_progress = [tell = on_progress, from, to](double done) { tell(from + (to - from) * done); }};
  }
};

}  // namespace cllm
