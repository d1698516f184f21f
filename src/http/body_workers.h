// Threads for what is too long for an event loop: reading a long body, writing a long answer.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "base/worker_pool.h"

namespace cllm {

class BodyWorkers {
 public:
  explicit BodyWorkers(int threads) : pool_(std::make_unique<WorkerPool>(threads, /*steps_back=*/true)) {}

  // Any thread. Runs the job on a worker; after Stop at once, on the calling thread.
  void Post(std::function<void()> job);
  // Blocks until every job that was posted has run.
  void Stop();

 private:
  std::mutex mutex_;
  std::unique_ptr<WorkerPool> pool_;
};

}  // namespace cllm
