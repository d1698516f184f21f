#include "service/engine_loop.h"

#include <algorithm>
#include <utility>

#include "base/time_slice.h"

namespace cllm {

EngineLoop::EngineLoop(Engine& engine, const SchedulerOptions& options, std::function<void(StepEvents&&)> on_events, StepTurns* turns)
    : engine_(engine),
      turns_(turns),
      scheduler_(options, engine.capabilities()),
      max_running_(scheduler_.max_running()),
      on_events_(std::move(on_events)),
      merge_window_(std::chrono::milliseconds(options.batch_timeout_ms)),
      most_merge_wait_(std::chrono::milliseconds(options.batch_timeout_ms)),
      thread_([this] { Run(); }) {}

EngineLoop::~EngineLoop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void EngineLoop::Submit(SequenceRequest request) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back({std::move(request), Clock::now()});
  }
  wake_.notify_one();
}

void EngineLoop::Run() {
  PreferLongTimeSlices();  // before the engine starts its threads
  warmed_up_.set_value(engine_.WarmUp());
  while (TakeArrivals()) Step();
}

bool EngineLoop::TakeArrivals() {
  std::unique_lock lock(mutex_);
  if (!scheduler_.HasWork()) {
    wake_.wait(lock, [this] { return stopping_ || !inbox_.empty(); });
    if (!stopping_) {
      idle_since_ = std::max(idle_since_, inbox_.front().time);
      EndBurstBefore(inbox_.front().time);
      WaitToMerge(lock);
    }
  }
  MoveInbox();
  if (stopping_) {
    lock.unlock();
    CancelAll();
    return false;
  }
  return true;
}

// A burst is over once all its requests are answered; what arrives afterwards begins the next one.
void EngineLoop::EndBurstBefore(Clock::time_point arrival) {
  if (burst_arrivals_ == 0 || open_requests() > 0 || arrival < answered_at_) return;
  merge_window_.RecordBurst(burst_arrivals_ > 1, second_arrival_ - burst_start_);
  burst_arrivals_ = 0;
}

// Each arrival may bring another one: the wait starts anew with it, within the bound of the whole.
void EngineLoop::WaitToMerge(std::unique_lock<std::mutex>& lock) {
  const auto wait = std::chrono::duration_cast<Clock::duration>(merge_window_.Wait());
  const Clock::time_point bound = inbox_.front().time + most_merge_wait_;
  std::size_t seen = inbox_.size();
  while (wait.count() > 0 && seen < static_cast<std::size_t>(max_running_)) {
    const Clock::time_point until = std::min(bound, Clock::now() + wait);
    if (!wake_.wait_until(lock, until, [&] { return stopping_ || inbox_.size() > seen; }) || stopping_) return;
    seen = inbox_.size();
  }
}

void EngineLoop::MoveInbox() {
  for (Arrival& arrival : inbox_) {
    EndBurstBefore(arrival.time);
    ++burst_arrivals_;
    if (burst_arrivals_ == 1) burst_start_ = arrival.time;
    if (burst_arrivals_ == 2) second_arrival_ = arrival.time;
    scheduler_.Submit(std::move(arrival.request));
  }
  inbox_.clear();
}

void EngineLoop::Step() {
  const Clock::time_point planned_at = Compute();
  scheduler_.TakeEvents(events_);
  events_.planned_at = planned_at;
  PublishStats();
  step_began_ = kNoStep;
  if (!events_.empty()) on_events_(std::move(events_));
  if (scheduler_.AwaitsMasks()) PauseForMasks();
}

// In the engine's turn, which begins before the plan is made, so that who came or left meanwhile is in it. Returns when that was.
EngineLoop::Clock::time_point EngineLoop::Compute() {
  const StepTurns::Turn turn(turns_, turns_.is_alone() ? 0 : scheduler_.ForecastStep());
  const Clock::time_point planned_at = Clock::now();
  step_began_ = planned_at.time_since_epoch().count();
  const StepPlan& plan = scheduler_.Plan(planned_at);
  stats_.target_step_s = scheduler_.target_step_s();
  if (plan.empty()) return planned_at;
  const Clock::time_point start = Clock::now();
  stats_.idle_with_work_ns += std::chrono::nanoseconds(start - idle_since_).count();
  engine_.Wait(engine_.Submit(plan), result_);
  scheduler_.Score(result_);  // a part of what the step takes
  idle_since_ = Clock::now();
  stats_.computing_ns += std::chrono::nanoseconds(idle_since_ - start).count();
  if (!plan.sequences.empty()) RecordStep(plan, idle_since_ - start);
  scheduler_.Commit(result_, idle_since_);
  if (!plan.sequences.empty() && open_requests() == 0) answered_at_ = Clock::now();
  return planned_at;
}

// Nothing can be computed until some thread has worked out what may come next.
void EngineLoop::PauseForMasks() {
  constexpr std::chrono::microseconds kBetweenLooks(500);
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, kBetweenLooks, [this] { return stopping_ || !inbox_.empty(); });
}

void EngineLoop::RecordStep(const StepPlan& plan, Clock::duration time) {
  ++stats_.steps;
  const double seconds = std::chrono::duration<double>(time).count();
  step_metrics_.seconds.Record(seconds);
  if (scheduler_.predicted_step_s() > 0) step_metrics_.over_prediction.Record(seconds / scheduler_.predicted_step_s());
  step_metrics_.sequences.Record(static_cast<double>(plan.sequences.size()));
  step_metrics_.tokens.Record(static_cast<double>(plan.tokens.size()));
}

void EngineLoop::PublishStats() {
  const Clock::time_point now = Clock::now();
  stats_.prompt_tokens += events_.prompt_tokens;
  for (const StartEvent& start : events_.starts) stats_.cached_prompt_tokens += start.cached_tokens;
  stats_.generated_tokens += static_cast<std::int64_t>(events_.tokens.size());
  stats_.embeddings += static_cast<std::int64_t>(events_.embeddings.size());
  stats_.embedding_tokens += events_.embedding_tokens;
  stats_.preemptions += events_.preemptions;
  drain_rate_.Record(static_cast<int>(events_.starts.size()), stats_.queued > 0, now);
  stats_.seconds_per_start = drain_rate_.seconds_per_start();
  const std::chrono::duration<double> to_free_place(scheduler_.SecondsToFreePlace(now));
  place_free_at_ = (now + std::chrono::duration_cast<Clock::duration>(to_free_place)).time_since_epoch().count();
  stats_.queued = scheduler_.queued();
  stats_.running = scheduler_.running();
  stats_.kv_tokens = scheduler_.computed_tokens();
  stats_.kv_idle_tokens = scheduler_.cached_tokens();
  stats_.threads = engine_.compute_threads();
  published_stats_.Write(stats_);
}

// The end: every request gets its answer, whatever state it is in.
void EngineLoop::CancelAll() {
  scheduler_.FailAll({ErrorCode::kUnavailable, "the server is shutting down", {}});
  scheduler_.TakeEvents(events_);
  if (!events_.empty()) on_events_(std::move(events_));
}

double EngineLoop::SecondsToFreePlace(TimePoint now) const {
  const Clock::time_point at{Clock::duration(place_free_at_.load())};
  return std::max(0.0, std::chrono::duration<double>(at - now).count());
}

std::chrono::nanoseconds EngineLoop::StepAge(TimePoint now) const {
  const Clock::rep began = step_began_;
  if (began == kNoStep) return {};
  return std::max(Clock::duration::zero(), now - Clock::time_point(Clock::duration(began)));
}

}  // namespace cllm
