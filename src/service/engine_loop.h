// The engine thread: takes arrivals, lets the scheduler plan, the engine compute and the scheduler commit, and hands the
// events on. It does nothing else, so that the next step starts at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "scheduler/admission.h"
#include "scheduler/scheduler.h"
#include "service/merge_window.h"
#include "service/metrics.h"
#include "service/stats.h"
#include "service/step_turns.h"

namespace cllm {

class EngineLoop {
 public:
  // `on_events` is called on the engine thread after each step that has any. `engine` outlives the loop, and so do `turns`, in which
  // it computes where other engines do so as well.
  EngineLoop(Engine& engine, const SchedulerOptions& options, std::function<void(StepEvents&&)> on_events, StepTurns* turns = nullptr);
  // Cancels what is left and joins.
  ~EngineLoop();
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Blocks until the engine is warm, or says why it can't compute. What is submitted before waits.
  Status WaitUntilReady() const { return ready_.get(); }

  // Any thread.
  void Submit(SequenceRequest request);
  // Seconds from `now` until a place has most likely become free; 0 where one is, or where nothing is known.
  double SecondsToFreePlace(TimePoint now) const;
  // As they were after the last step.
  EngineLoopStats stats() const { return published_stats_.Read(); }
  // How long the step that is under way has taken until `now`; 0 between steps.
  std::chrono::nanoseconds StepAge(TimePoint now) const;
  const StepMetrics& step_metrics() const { return step_metrics_; }
  int max_running() const { return max_running_; }

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  // Blocks until there is something to do; false at the end. Moves arrivals to the scheduler.
  bool TakeArrivals();
  void EndBurstBefore(Clock::time_point arrival);
  void WaitToMerge(std::unique_lock<std::mutex>& lock);
  void MoveInbox();
  void Step();
  Clock::time_point Compute();
  void PauseForMasks();
  int open_requests() const { return scheduler_.queued() + scheduler_.running(); }
  void CancelAll();
  void RecordStep(const StepPlan& plan, Clock::duration time);
  void PublishStats();

  Engine& engine_;
  StepTurns::Member turns_;
  Scheduler scheduler_;
  int max_running_;
  std::function<void(StepEvents&&)> on_events_;

  std::mutex mutex_;
  std::condition_variable wake_;
  struct Arrival {
    SequenceRequest request;
    Clock::time_point time;
  };
  std::vector<Arrival> inbox_;
  bool stopping_ = false;

  // Only the engine thread touches these.
  MergeWindow merge_window_;
  Clock::duration most_merge_wait_;
  int burst_arrivals_ = 0;
  Clock::time_point burst_start_;
  Clock::time_point second_arrival_;
  Clock::time_point answered_at_;  // when the last open request ended
  Clock::time_point idle_since_;   // when the last step ended, or work came to an idle loop
  DrainRate drain_rate_;
  StepResult result_;
  StepEvents events_;

  StepMetrics step_metrics_;
  EngineLoopStats stats_;  // the engine thread's
  PublishedStats<EngineLoopStats> published_stats_;
  std::atomic<Clock::rep> place_free_at_ = 0;  // since the clock's epoch
  static constexpr Clock::rep kNoStep = 0;
  std::atomic<Clock::rep> step_began_ = kNoStep;  // since the clock's epoch

  std::promise<Status> warmed_up_;
  std::shared_future<Status> ready_ = warmed_up_.get_future().share();

  std::thread thread_;  // last: it uses everything above
};

}  // namespace cllm
