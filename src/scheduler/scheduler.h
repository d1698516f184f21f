// Continuous batching: which sequence computes which tokens in the next step, and what became of the last one.
//
// There are no prefill and decode phases. A sequence has known tokens (prompt and answer so far) and computed ones; a
// step lets the computed ones catch up. Sequences join and leave at every step. Decodes (one token missing) come
// first, then prompt chunks. Where sequences decode, the chunks are no longer than the target step time allows, by a model
// that learns what a step costs: a long prompt slows running streams down and never freezes them. Short ones go in whole.
//
// Requests take turns in the order of arrival + predicted time of the prompt - priority, in seconds: short prompts pass long
// ones that came a moment before, and nothing waits for ever, since time goes on (shortest remaining time with ageing).
//
// A sequence whose embedding is wanted is a prompt without decodes: it ends when its last rows are computed. What is kept of other
// prompts is of no use to it, since its embedding is made of all of its rows; and where each token sees all others it goes in as a whole.
//
// A prompt that is scored computes all of its rows, too, and each of them gives logits, so that its chunks are no longer than the engine
// has room for these.
//
// Where the engine's KV pool has no block left for a running sequence, one gives way and comes back later: its tokens stay,
// its keys and values are computed again, as far as they can't be found. Its answer is the same.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kvcache/kv_cache.h"
#include "scheduler/request.h"
#include "scheduler/step_times.h"

namespace cllm {

struct SchedulerOptions {
  int max_batch_size = 32;         // most sequences that run at a time, within what the engine holds
  int batch_timeout_ms = 5;        // longest wait of an idle engine for further arrivals
  double request_timeout = 600.0;  // seconds from acceptance to the end of the answer
  int max_queue_size = 256;        // requests that wait while all sequences are taken; more are refused
  double queue_timeout = 0;        // seconds that a request may wait for a free place; 0: its whole time
  int target_step_ms = 0;          // of a step in which prompts and decodes meet; 0: by how many there are of both
  bool prefix_cache = true;        // keys and values of earlier and of running sequences are used where prompts begin alike
};

// Owned and called by one thread. Time is passed in, so that tests and simulations need no clock.
class Scheduler {
 public:
  Scheduler(const SchedulerOptions& options, const EngineCapabilities& engine);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void Submit(SequenceRequest request);

  // Whether the last plan was empty only because what may come next is still being worked out; see TokenConstraint.
  bool AwaitsMasks() const;

  // Whether a Plan now would do anything.
  bool HasWork() const { return !queue_.empty() || !running_.empty() || !pending_operations_.empty(); }

  // Ends what was cancelled, stopped or timed out, admits from the queue and writes the next step. The plan stays valid
  // until the next call. It can be empty: then Commit is not called.
  const StepPlan& Plan(TimePoint now);

  // Scores what of prompts was computed. Commit does what is left of that; whoever wants to know what it took calls it before.
  void Score(const StepResult& result);

  // Samples and appends one token for every sequence of the plan that has computed all it knows.
  void Commit(const StepResult& result, TimePoint now);

  // Ends every request, queued or running, with `error`.
  void FailAll(const Error& error);

  // What happened since the last TakeEvents.
  void TakeEvents(StepEvents& events);

  int queued() const { return static_cast<int>(queue_.size()); }
  int running() const { return static_cast<int>(running_.size()); }
  // Sequences that can run at a time.
  int max_running() const { return max_running_; }
  // Tokens whose KV the engine holds for running sequences.
  std::int64_t computed_tokens() const;
  // Tokens whose KV it holds for sequences to come.
  std::int64_t cached_tokens() const { return cache_->idle_tokens(); }

  // How long the step of a Plan now would most likely take, in seconds, before it is made; 0 where nothing is known yet.
  double ForecastStep() const;

  // What the last plan was made for; 0 where nothing bounded it but the engine's budget.
  double target_step_s() const { return target_step_s_; }
  // How long the last plan was thought to take; 0 where nothing is known yet.
  double predicted_step_s() const { return predicted_step_s_; }

  // Seconds from `now` until one of the running sequences has most likely ended; 0 while a place is free or nothing is known yet.
  double SecondsToFreePlace(TimePoint now) const;

  // Aborts with a message where the scheduler's own books don't agree; tests call it after every step.
  void CheckInvariants() const;

 private:
  struct Sequence;

  void Sweep(TimePoint now);
  void Enqueue(std::unique_ptr<Sequence> sequence);
  void MakeRoomForDecodes();
  Sequence& ChooseVictim() const;
  void Preempt(Sequence& sequence);
  void Admit();
  void Start(std::unique_ptr<Sequence> sequence);
  void CloseSlotGaps();
  TimePoint TurnOf(const Sequence& sequence) const;
  // By what the steps until now have taken.
  KvCosts LearnedCosts() const;
  void PlanDecodes();
  double Slowdown() const;
  // The target of a step whose decodes alone would take `decodes_s`.
  double Pace(double decodes_s);
  void PlanPrompts();
  // Rows of the prompt that the engine's budget has room for.
  int MostRows(const Sequence& sequence) const;
  // Rows of the prompt that may go into the step that is being planned.
  int RoomFor(const Sequence& sequence) const;
  // `load`: the part of load_ that it belongs to.
  void AddWork(Sequence& sequence, int rows, StepLoad& load);
  void LearnStepTime(const StepResult& result, TimePoint now);
  void CommitScores(Sequence& sequence);
  void CommitSequence(Sequence& sequence, const SequenceWork& work, const SequenceResult& result, TimePoint now);
  // Draws a token from the row of logits, or keeps the row until it is known which tokens may come.
  void Draw(Sequence& sequence, std::span<const float> logits, std::chrono::microseconds patience);
  void DrawFromHeldRows();
  void AppendForced(Sequence& sequence, std::span<const TokenId> tokens);
  void AppendToken(Sequence& sequence, const SampledToken& token);
  // How much longer the sequence most likely runs, if a step takes `step_s`.
  double SecondsLeft(const Sequence& sequence, double step_s, TimePoint now) const;
  // Every change of a request's state.
  static void Transition(Sequence& sequence, RequestState state);
  // `keep_kv`: what the engine holds of it is sound.
  void End(Sequence& sequence, RequestState state, FinishReason reason, Error error = {}, bool keep_kv = true);
  // Whether a signal or the deadline ends the sequence now; ends it.
  bool EndIfDue(Sequence& sequence, TimePoint now);
  void RemoveEnded();

  EngineCapabilities engine_;
  int max_running_;
  std::deque<std::unique_ptr<Sequence>> queue_;     // by turn
  std::vector<std::unique_ptr<Sequence>> running_;  // by admission
  StepTimes step_times_;
  std::unique_ptr<KvCache> cache_;  // asks step_times_
  int target_step_ms_;
  std::vector<KvOperation> pending_operations_;
  std::optional<double> typical_run_s_;  // of sequences that finished, from their start on; the last few count
  // The target of steps while a prompt is cut, and what it was set for.
  struct {
    double seconds = 0;
    std::optional<RequestId> prompt;
    std::size_t decodes = 0;
    std::size_t running = 0;
  } pace_;
  // Of the step that is planned.
  std::vector<Sequence*> decodes_;
  std::vector<Sequence*> prompts_;
  MixedLoad load_;
  double target_step_s_ = 0;        // for what is cut into chunks
  double whole_prompt_step_s_ = 0;  // for prompts that go in as a whole
  double predicted_step_s_ = 0;
  int logit_rows_left_ = 0;          // beside each sequence's last one
  bool is_scored_ = false;           // what of it scores prompts
  bool has_learned_scores_ = false;  // a step with such rows has been observed
  TimePoint planned_at_;
  StepPlan plan_;
  std::vector<Sequence*> planned_;  // as plan_.sequences
  SamplerScratch scratch_;
  StepEvents events_;
};

}  // namespace cllm
