// Continuous batching: which sequence computes which tokens in the next step, and what became of the last one.
//
// There are no prefill and decode phases. A sequence has known tokens (prompt and answer so far) and computed ones; a
// step lets the computed ones catch up. Sequences join and leave at every step. Decodes (one token missing) come
// first, then prompt chunks in order of arrival, within the engine's token budget, so that a long prompt holds running
// streams up for one chunk at most.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kvcache/slot_cache.h"
#include "scheduler/request.h"

namespace cllm {

struct SchedulerOptions {
  int max_batch_size = 32;          // most sequences that run at a time, within what the engine holds
  int batch_timeout_ms = 5;         // longest wait of an idle engine for further arrivals
  double request_timeout = 60.0;    // seconds from acceptance to the end of the answer
  int max_queue_size = 256;         // requests that wait while all sequences are taken; more are refused
  bool prefix_cache = true;         // keys and values of earlier and of running sequences are used where prompts begin alike
};

// Owned and called by one thread. Time is passed in, so that tests and simulations need no clock.
class Scheduler {
 public:
  Scheduler(const SchedulerOptions& options, const EngineCapabilities& engine);
  ~Scheduler();

  void Submit(SequenceRequest request);

  // Whether a Plan now would do anything.
  bool HasWork() const { return !queue_.empty() || !running_.empty() || !pending_operations_.empty(); }

  // Ends what was cancelled, stopped or timed out, admits from the queue and writes the next step. The plan stays valid
  // until the next call. It can be empty: then Commit is not called.
  const StepPlan& Plan(TimePoint now);

  // Samples and appends one token for every sequence of the plan whose logits were wanted.
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
  std::int64_t cached_tokens() const { return slots_.idle_tokens(); }

  // Aborts with a message where the scheduler's own books don't agree; tests call it after every step.
  void CheckInvariants() const;

 private:
  struct Sequence;

  void Sweep(TimePoint now);
  void Admit();
  void Start(std::unique_ptr<Sequence> sequence);
  void CloseSlotGaps();
  std::span<Sequence* const> Decodes();
  void AddWork(Sequence& sequence, int rows);
  void CommitSequence(Sequence& sequence, const SequenceWork& work, const SequenceResult& result, TimePoint now);
  void AppendToken(Sequence& sequence, const SampledToken& token);
  // `keep_kv`: what the engine holds of it is sound.
  void End(Sequence& sequence, RequestState state, FinishReason reason, Error error = {}, bool keep_kv = true);
  // Whether a signal or the deadline ends the sequence now; ends it.
  bool EndIfDue(Sequence& sequence, TimePoint now);
  void RemoveEnded();

  EngineCapabilities engine_;
  int max_running_;
  std::deque<std::unique_ptr<Sequence>> queue_;
  std::vector<std::unique_ptr<Sequence>> running_;  // by admission
  SlotCache slots_;
  std::vector<KvOperation> pending_operations_;
  std::vector<Sequence*> decodes_;  // of the step that is planned
  StepPlan plan_;
  std::vector<Sequence*> planned_;  // as plan_.sequences
  SamplerScratch scratch_;
  StepEvents events_;
};

}  // namespace cllm
