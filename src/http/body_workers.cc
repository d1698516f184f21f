#include "http/body_workers.h"

#include <utility>

namespace cllm {

void BodyWorkers::Post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (pool_) return pool_->Post(std::move(job));
  }
  job();
}

void BodyWorkers::Stop() {
  std::unique_ptr<WorkerPool> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = std::move(pool_);
  }
}

}  // namespace cllm
