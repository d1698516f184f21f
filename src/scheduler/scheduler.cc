#include "scheduler/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

// A move copies a whole stream in llama.cpp, about as long as two steps; a gap costs up to one extra pass over the
// weights in every step. So a sequence moves only if it will run this many more steps.
constexpr int kLeastTokensWorthAMove = 16;

void Check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "scheduler invariant broken: %s\n", what);
  std::abort();
}

}  // namespace

struct Scheduler::Sequence {
  explicit Sequence(SequenceRequest r) : request(std::move(r)), sampler(request.sampling, 0), tokens(request.prompt) {
    for (const TokenId token : tokens) sampler.Accept(token);
  }

  int known() const { return static_cast<int>(tokens.size()); }
  int missing() const { return known() - computed; }
  int generated() const { return known() - static_cast<int>(request.prompt.size()); }
  int remaining() const { return request.max_tokens - generated(); }

  SequenceRequest request;
  Sampler sampler;
  std::vector<TokenId> tokens;  // known: prompt and answer
  int computed = 0;             // tokens whose KV the engine holds
  int slot = -1;
  RequestState state = RequestState::kQueued;
};

Scheduler::Scheduler(const SchedulerOptions& options, const EngineCapabilities& engine)
    : engine_(engine),
      max_running_(std::max(1, std::min({options.max_batch_size, engine.max_sequences, engine.max_step_tokens}))),
      slot_used_(engine.max_sequences, false) {}

Scheduler::~Scheduler() = default;

void Scheduler::Submit(SequenceRequest request) {
  Check(!request.prompt.empty(), "a prompt has at least one token");
  queue_.push_back(std::make_unique<Sequence>(std::move(request)));
}

const StepPlan& Scheduler::Plan(TimePoint now) {
  plan_.Clear();
  planned_.clear();
  Sweep(now);
  Admit();
  CloseSlotGaps();
  plan_.operations.swap(pending_operations_);

  int budget = engine_.max_step_tokens;
  for (const auto& sequence : running_) {
    if (sequence->missing() == 1) {
      AddWork(*sequence, 1);
      --budget;
    }
  }
  for (const auto& sequence : running_) {
    const int missing = sequence->missing();
    if (missing == 1 || budget == 0) continue;
    const int rows = std::min(missing, budget);
    AddWork(*sequence, rows);
    budget -= rows;
  }
  return plan_;
}

// Ends what must not go on, in the queue and among the running.
void Scheduler::Sweep(TimePoint now) {
  for (const auto& sequence : running_) EndIfDue(*sequence, now);
  RemoveEnded();
  std::erase_if(queue_, [&](const auto& sequence) { return EndIfDue(*sequence, now); });
}

bool Scheduler::EndIfDue(Sequence& sequence, TimePoint now) {
  switch (sequence.request.control ? sequence.request.control->signal() : RequestControl::Signal::kNone) {
    case RequestControl::Signal::kCancel:
      End(sequence, RequestState::kCancelled, FinishReason::kStop);
      return true;
    case RequestControl::Signal::kStop:
      // A stop before the first token can't come from the text of the answer: whoever sent it wants no answer.
      End(sequence, sequence.state == RequestState::kRunning ? RequestState::kFinished : RequestState::kCancelled,
          FinishReason::kStop);
      return true;
    case RequestControl::Signal::kNone: break;
  }
  if (now < sequence.request.deadline) return false;
  const bool queued = sequence.state == RequestState::kQueued;
  End(sequence, RequestState::kTimedOut, FinishReason::kStop,
      {ErrorCode::kTimedOut,
       queued ? std::string("the request's deadline passed while it waited for a free place")
              : fmt::format("the request's deadline passed after {} of at most {} tokens", sequence.generated(),
                            sequence.request.max_tokens),
       {}});
  return true;
}

void Scheduler::Admit() {
  while (!queue_.empty() && running() < max_running_) {
    std::unique_ptr<Sequence> sequence = std::move(queue_.front());
    queue_.pop_front();
    sequence->slot = LowestFreeSlot();
    slot_used_[sequence->slot] = true;
    sequence->state = RequestState::kRunning;
    events_.starts.push_back(sequence->request.id);
    running_.push_back(std::move(sequence));
  }
}

// Where the engine computes neighbouring slots together, the sequence in the highest slot fills the lowest gap.
void Scheduler::CloseSlotGaps() {
  if (!engine_.prefers_dense_slots || !engine_.can_copy_sequences || running_.empty()) return;
  const int gap = LowestFreeSlot();
  const auto highest = std::ranges::max_element(running_, {}, [](const auto& sequence) { return sequence->slot; });
  Sequence& sequence = **highest;
  if (gap < 0 || gap > sequence.slot || sequence.remaining() < kLeastTokensWorthAMove) return;
  if (sequence.computed > 0) {
    pending_operations_.push_back({.kind = KvOperation::Kind::kMove, .slot = sequence.slot, .target_slot = gap});
  }
  slot_used_[sequence.slot] = false;
  slot_used_[gap] = true;
  sequence.slot = gap;
}

int Scheduler::LowestFreeSlot() const {
  const auto free = std::ranges::find(slot_used_, false);
  return free == slot_used_.end() ? -1 : static_cast<int>(free - slot_used_.begin());
}

void Scheduler::AddWork(Sequence& sequence, int rows) {
  plan_.sequences.push_back({.slot = sequence.slot,
                             .computed = sequence.computed,
                             .first_row = static_cast<int>(plan_.tokens.size()),
                             .rows = rows,
                             .wants_logits = rows == sequence.missing()});
  const auto first = sequence.tokens.begin() + sequence.computed;
  plan_.tokens.insert(plan_.tokens.end(), first, first + rows);
  planned_.push_back(&sequence);
}

void Scheduler::Commit(const StepResult& result, TimePoint now) {
  Check(result.sequences.size() == planned_.size(), "a step has one result for each sequence");
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    // What ended while the step computed gets no further token.
    if (!EndIfDue(*planned_[i], now)) CommitSequence(*planned_[i], plan_.sequences[i], result.sequences[i]);
  }
  planned_.clear();
  RemoveEnded();
}

void Scheduler::CommitSequence(Sequence& sequence, const SequenceWork& work, const SequenceResult& result) {
  if (!result.status) {
    End(sequence, RequestState::kFailed, FinishReason::kStop, result.status.error());
    return;
  }
  const int prompt_left = static_cast<int>(sequence.request.prompt.size()) - sequence.computed;
  events_.prompt_tokens += std::clamp(prompt_left, 0, work.rows);
  sequence.computed += work.rows;
  if (!work.wants_logits) return;
  // The position of the token that is about to be drawn: the draw depends on nothing else.
  Result<SampledToken> token = sequence.sampler.Sample(result.logits, static_cast<std::uint64_t>(sequence.known()), scratch_);
  if (!token) {
    End(sequence, RequestState::kFailed, FinishReason::kStop, token.error());
    return;
  }
  AppendToken(sequence, *token);
}

void Scheduler::AppendToken(Sequence& sequence, const SampledToken& token) {
  if (std::ranges::binary_search(sequence.request.stop_tokens, token.token)) {
    End(sequence, RequestState::kFinished, FinishReason::kStop);
    return;
  }
  sequence.tokens.push_back(token.token);
  sequence.sampler.Accept(token.token);
  events_.tokens.push_back({sequence.request.id, token});
  if (sequence.remaining() == 0 || sequence.known() >= engine_.max_context) {
    End(sequence, RequestState::kFinished, FinishReason::kLength);
  }
}

void Scheduler::End(Sequence& sequence, RequestState state, FinishReason reason, Error error) {
  Check(CanTransition(sequence.state, state), "a request changes its state only as the table allows");
  sequence.state = state;
  events_.ends.push_back({sequence.request.id, state, reason, std::move(error)});
  if (sequence.slot < 0) return;
  pending_operations_.push_back({.kind = KvOperation::Kind::kDrop, .slot = sequence.slot});
  slot_used_[sequence.slot] = false;
  sequence.slot = -1;
  sequence.computed = 0;
}

void Scheduler::FailAll(const Error& error) {
  for (const auto& sequence : running_) End(*sequence, RequestState::kFailed, FinishReason::kStop, error);
  for (const auto& sequence : queue_) End(*sequence, RequestState::kFailed, FinishReason::kStop, error);
  RemoveEnded();
  queue_.clear();
}

void Scheduler::RemoveEnded() {
  std::erase_if(running_, [](const auto& sequence) { return IsTerminal(sequence->state); });
}

void Scheduler::TakeEvents(StepEvents& events) {
  events.Clear();
  std::swap(events, events_);
}

std::int64_t Scheduler::computed_tokens() const {
  std::int64_t sum = 0;
  for (const auto& sequence : running_) sum += sequence->computed;
  return sum;
}

void Scheduler::CheckInvariants() const {
  Check(running() <= max_running_, "no more sequences run than may");
  std::vector<bool> used(slot_used_.size(), false);
  for (const auto& sequence : running_) {
    Check(sequence->state == RequestState::kRunning, "what is among the running is running");
    Check(sequence->slot >= 0 && !used.at(sequence->slot), "each running sequence has a slot of its own");
    used[sequence->slot] = true;
    Check(sequence->missing() >= 1, "a running sequence has a token to compute");
    Check(sequence->remaining() >= 1, "a running sequence has a token to generate");
    Check(sequence->known() <= engine_.max_context, "a sequence fits into the context");
  }
  Check(used == slot_used_, "a slot is taken only by a running sequence");
  for (const auto& sequence : queue_) {
    Check(sequence->state == RequestState::kQueued && sequence->slot < 0 && sequence->computed == 0,
          "a queued sequence holds nothing");
  }
}

}  // namespace cllm
