// How long an idle engine waits for further arrivals before it starts: several requests that come together share their
// first steps. A lone client, which asks one thing after another, never waits.
#pragma once

#include <chrono>
#include <cstddef>

namespace cllm {

class MergeWindow {
 public:
  using Duration = std::chrono::nanoseconds;

  // `most`: upper bound of a wait; 0 turns waiting off.
  explicit MergeWindow(Duration most) : most_(most) {}

  // A busy period ended. `second_delay` is the time from its first to its second arrival, if the second came
  // while the first was still being answered.
  void RecordBurst(bool had_second, Duration second_delay);

  // The wait after the latest arrival of the next burst: zero unless the last two bursts had a second arrival within
  // the bound. Twice the longer of the two delays, so that usual jitter is covered.
  Duration Wait() const;

 private:
  static constexpr std::size_t kBursts = 2;
  Duration most_;
  Duration delays_[kBursts] = {Duration::max(), Duration::max()};
  std::size_t next_ = 0;
};

}  // namespace cllm
