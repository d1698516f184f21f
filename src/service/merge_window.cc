#include "service/merge_window.h"

#include <algorithm>

namespace cllm {

void MergeWindow::RecordBurst(bool had_second, Duration second_delay) {
  delays_[next_] = had_second ? second_delay : Duration::max();
  next_ = (next_ + 1) % kBursts;
}

MergeWindow::Duration MergeWindow::Wait() const {
  const Duration longest = *std::max_element(std::begin(delays_), std::end(delays_));
  return longest > most_ ? Duration::zero() : std::min(most_, 2 * longest);
}

}  // namespace cllm
