// Waiting that a user can interrupt and a test can skip.
#pragma once

#include <chrono>

namespace cllm {

class Patience {
 public:
  virtual ~Patience() = default;
  // Whether the user wants to stop; stays true.
  virtual bool Interrupted() = 0;
  // Returns after the time, or earlier where the user interrupts.
  virtual void Wait(std::chrono::milliseconds time) = 0;
};

}  // namespace cllm
