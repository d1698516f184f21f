// Waiting that a user can interrupt and a test can skip.
#pragma once

#include <chrono>

#include "base/interrupts.h"

namespace cllm {

class Patience {
 public:
  virtual ~Patience() = default;
  // Whether the user wants to stop; stays true.
  virtual bool Interrupted() = 0;
  // Returns after the time, or earlier where the user interrupts.
  virtual void Wait(std::chrono::milliseconds time) = 0;
};

// The patience of a user who may press Ctrl-C.
class InterruptPatience : public Patience {
 public:
  explicit InterruptPatience(Interrupts& interrupts) : interrupts_(interrupts) {}
  bool Interrupted() override { return interrupted_ = interrupted_ || interrupts_.Take(); }
  void Wait(std::chrono::milliseconds time) override { interrupted_ = interrupted_ || interrupts_.WaitFor(time); }

 private:
  Interrupts& interrupts_;
  bool interrupted_ = false;
};

}  // namespace cllm
