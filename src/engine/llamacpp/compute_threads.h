// How many threads compute with a context of llama.cpp, and their pools: as many as are best, beside what else the machine does at the
// time.
#pragma once

#include <ggml-cpu.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/status.h"
#include "engine/llamacpp/processor_watch.h"
#include "engine/llamacpp/thread_controller.h"

struct llama_context;

namespace cllm {

// `wanted` 0: all cores.
int MostComputeThreads(int wanted);

// The context may compute with any of the pools until it is freed: it has to go first. One thread calls all but count().
class ComputeThreads {
 public:
  // At most as many as the context was made for; `is_open`: as many as are best.
  ComputeThreads(llama_context* context, bool is_open);

  // The first computations; chooses a number where it is open. `trial` computes a step of so many rows.
  Status WarmUp(const std::function<Status(int rows)>& trial);

  // Threads that compute the step in progress, or the last one. Any thread may ask.
  int count() const { return count_; }

  // Before and after a step that computes.
  void Choose();
  // `expected_s`: as the plan has it.
  void LearnFrom(double expected_s);

 private:
  using Pool = std::unique_ptr<ggml_threadpool, decltype(&ggml_threadpool_free)>;

  // The next steps compute with so many.
  void Use(int threads);

  llama_context* context_;
  std::atomic<int> count_;
  bool is_open_;
  // By number. Those that don't compute sleep; a step that changes the number starts none.
  std::map<int, Pool> pools_;
  std::optional<ThreadController> controller_;  // once warm, where the number is open
  ProcessorWatch watch_;
};

}  // namespace cllm
