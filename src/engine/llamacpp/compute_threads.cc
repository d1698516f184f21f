#include "engine/llamacpp/compute_threads.h"

#include <llama.h>

#include <chrono>
#include <vector>

#include "base/log.h"
#include "base/machine.h"
#include "engine/llamacpp/thread_choice.h"

namespace cllm {
namespace {

// Of the step by which the number of threads is chosen: about what a few running answers are.
constexpr int kRowsOfATrial = 4;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

int MostComputeThreads(int wanted) {
  const int cores = AvailableCores();
  if (wanted <= 0) return cores;
  if (wanted <= cores) return wanted;
  spdlog::warn("backend.llama_cpp.n_threads {} is more than the {} cores of this machine: using {}", wanted, cores, cores);
  return cores;
}

ComputeThreads::ComputeThreads(llama_context* context, bool is_open)
    : context_(context), count_(llama_n_threads(context)), is_open_(is_open) {}

void ComputeThreads::Use(int threads) {
  if (threads == llama_n_threads(context_) && !pools_.empty()) return;
  auto pool = pools_.find(threads);
  if (pool == pools_.end()) {
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    pool = pools_.emplace(threads, Pool(ggml_threadpool_new(&params), ggml_threadpool_free)).first;
  }
  llama_set_n_threads(context_, threads, threads);
  llama_attach_threadpool(context_, pool->second.get(), pool->second.get());
}

Status ComputeThreads::WarmUp(const std::function<Status(int rows)>& trial) {
  Use(count_);
  Status status = trial(2);
  if (!status || !is_open_) return status;
  const std::vector<int> candidates = ThreadCandidates(count_);
  const int best = ChooseThreadCount(candidates, [&](int threads) {
    Use(threads);
    if (status) status = trial(1);  // the first one with new threads
    const double start = Now();
    if (status) status = trial(kRowsOfATrial);
    return std::chrono::duration<double>(Now() - start);
  });
  Use(best);
  count_ = best;
  if (!status) return status;
  spdlog::info("{} of at most {} threads compute", best, candidates.front());
  controller_.emplace(candidates, best, Now());
  watch_.Look(Now());
  return status;
}

void ComputeThreads::Choose() {
  if (!controller_) return;
  const double now = Now();
  if (const auto window = watch_.Look(now)) controller_->ObserveFree(now, window->seconds, window->free);
  Use(controller_->Begin(now));
}

void ComputeThreads::LearnFrom(double expected_s) {
  if (!controller_) return;
  controller_->End(Now(), expected_s);
  const int threads = controller_->threads();
  if (threads == count_) return;
  spdlog::info("{} threads compute from now on, {} did", threads, count_.load());
  count_ = threads;
}

}  // namespace cllm
