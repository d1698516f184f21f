// Ctrl-C as a question instead of an interruption: what is under way ends in order.
#pragma once

#include <signal.h>

#include "hub/patience.h"

namespace cllm {

// While it lives, SIGINT waits in the thread that made it (and in threads that are started meanwhile) and Interrupted()
// sees it. A signal that came is used up by the end. Where the process ignores SIGINT, as shells have it for what runs in the
// background, there are no interruptions.
class InterruptSignal : public Patience {
 public:
  InterruptSignal();
  ~InterruptSignal() override;
  InterruptSignal(const InterruptSignal&) = delete;
  InterruptSignal& operator=(const InterruptSignal&) = delete;

  bool Interrupted() override;
  void Wait(std::chrono::milliseconds time) override;

 private:
  sigset_t before_{};
  bool ignored_ = false;
};

}  // namespace cllm
