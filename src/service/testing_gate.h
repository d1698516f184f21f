// Lets a test hold a fake engine inside a step, look at the plan, and let it go on: no sleeps.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "engine/engine.h"

namespace cllm {

class StepGate {
 public:
  // For FakeEngineOptions::on_step.
  std::function<void(const StepPlan&)> Hook() {
    return [this](const StepPlan& plan) {
      std::unique_lock lock(mutex_);
      if (open_) return;
      plan_ = plan;
      inside_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !inside_ || open_; });
      inside_ = false;
    };
  }

  // Blocks until the engine is inside a step, and returns its plan. The engine stays there.
  StepPlan WaitForStep() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_; });
    return plan_;
  }

  // Lets the engine leave the step that it is in.
  void Release() {
    const std::lock_guard lock(mutex_);
    inside_ = false;
    changed_.notify_all();
  }

  // From now on nothing is held.
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  StepPlan plan_;
  bool inside_ = false;
  bool open_ = false;
};

}  // namespace cllm
