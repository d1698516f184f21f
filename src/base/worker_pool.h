// A few threads that run short jobs in order of arrival.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cllm {

// The queue has no bound of its own: whoever posts jobs bounds them (the service by its limit of open requests).
class WorkerPool {
 public:
  // `steps_back`: where the processors are taken, other threads of the program come first.
  explicit WorkerPool(int threads, bool steps_back = false);
  // Runs what was posted before, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Post(std::function<void()> job);

 private:
  void Run(bool steps_back);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cllm
