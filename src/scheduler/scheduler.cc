#include "scheduler/scheduler.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <ranges>
#include <span>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/invariant.h"
#include "scheduler/prompt_scores.h"

namespace cllm {
namespace {

// A move copies all that a stream of llama.cpp holds, up to about as long as two steps; a gap costs up to one extra pass over the
// weights in every step. So a sequence moves only if it will run this many more steps.
constexpr int kLeastTokensWorthAMove = 16;

// A step in which prompts and decodes meet may take at least this many times as long as the decodes alone: two fifths of the time
// go to the prompts, and a reader hardly notices. Where prompts have a pass of their own, they read the weights once more.
constexpr double kSlowdown = 1.75, kSlowdownOfTwoPasses = 2.2;
// The same while a prompt is cut, so that it goes on however slow the decodes have become meanwhile.
constexpr double kLeastSlowdown = 1.5;
// A prompt that fits into such a step goes in as a whole: cut in pieces it would keep its stream, and with it the batch, from
// growing, for the sake of a gap that nobody notices.
constexpr double kShortPromptStep_s = 0.5;
// Fewer rows than this are hardly cheaper, and would tell nothing about what a chunk costs.
constexpr int kLeastChunk = 3;
// Beside decodes, before any step has shown what it costs that each row gives logits: of some models half of all work and more.
constexpr int kFirstScoredRows = 8;
// Of one more run in the time that runs typically take.
constexpr double kWeightOfARun = 1.0 / 8;

// A mask is made while a step computes. One that is late is waited for so long, since the sequence would miss a step else.
constexpr std::chrono::microseconds kPatience(1000);

double Seconds(std::chrono::steady_clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

struct Scheduler::Sequence {
  explicit Sequence(SequenceRequest r)
      : request(std::move(r)),
        sampler(request.sampling, request.choice),
        scores(request.prompt.size(), request.prompt_logprobs),
        tokens(request.prompt) {
    sampler.Accept(tokens);
  }

  int known() const { return static_cast<int>(tokens.size()); }
  int missing() const { return known() - computed; }
  bool generates() const { return !request.embeds && request.max_tokens > 0; }
  // Misses one token of an answer.
  bool wants_decode() const { return missing() == 1 && generates(); }
  bool wants_prompt() const { return missing() > (generates() ? 1 : 0); }
  // Whether keys and values that are there already save it their rows.
  bool reuses_prefix() const { return !request.embeds && !scores.missing(); }
  // What its next `rows` rows give, and how many of them.
  RowOutput OutputOf(int rows) const {
    if (request.embeds) return rows == missing() ? RowOutput::kEmbedding : RowOutput::kEmbeddingPart;
    return LogitRowsOf(rows) > 0 ? RowOutput::kLogits : RowOutput::kNothing;
  }
  int LogitRowsOf(int rows) const { return std::max(scores.RowsOf(computed, rows), generates() && rows == missing() ? 1 : 0); }
  int OutputsOf(int rows) const { return request.embeds ? (rows == missing() ? 1 : 0) : LogitRowsOf(rows); }
  // All is computed, but what may come next isn't known yet.
  bool awaits_mask() const { return !held_row.empty(); }
  // Of what it has generated: one token, or several that had to come.
  bool decodes() const { return state == RequestState::kRunning && missing() > 0 && computed >= static_cast<int>(request.prompt.size()); }
  int generated() const { return known() - static_cast<int>(request.prompt.size()); }
  int remaining() const { return generates() ? request.max_tokens - generated() : 1; }
  // Tokens that it has to find room for before it starts. What gave way once waits until it can run to its end.
  int needed() const { return state == RequestState::kPreempted ? known() + remaining() - 1 : known(); }

  SequenceRequest request;
  Sampler sampler;
  PromptScores scores;
  std::vector<TokenId> tokens;  // known: prompt and answer
  int computed = 0;             // tokens whose KV the engine holds
  bool has_begun = false;       // some of its prompt is computed, not all
  std::vector<float> held_row;  // logits from which no token was drawn yet
  int slot = -1;
  TimePoint turn;     // in the queue
  TimePoint started;  // when it last left it
  RequestState state = RequestState::kQueued;
};

Scheduler::Scheduler(const SchedulerOptions& options, const EngineCapabilities& engine)
    : engine_(engine),
      max_running_(std::max(1, std::min({options.max_batch_size, engine.max_sequences, engine.max_step_tokens}))),
      step_times_(engine.computes_prompts_apart),
      cache_(MakeKvCache(engine, options.prefix_cache, LearnedCosts())),
      target_step_ms_(options.target_step_ms) {
  CheckInvariant(!engine.embeds_whole || engine.max_step_tokens >= engine.max_context, "a text that comes as a whole fits into a step");
}

Scheduler::~Scheduler() = default;

// Never less than full steps would take: where chunks are all of one size, it can't be told what their rows cost.
KvCosts Scheduler::LearnedCosts() const {
  KvCosts costs;
  costs.compute = [this, at_first = costs.compute](int from, int to) {
    if (!step_times_.knows_rows()) return at_first(from, to);
    const double full_steps = static_cast<double>(to - from) / engine_.max_step_tokens;
    return std::max(step_times_.PredictMore(from, to), full_steps * step_times_.PredictLeast());
  };
  costs.step = [this, at_first = costs.step](int rows) {
    if (!step_times_.knows_rows()) return at_first(rows);
    return step_times_.PredictLeast() + (rows > 0 ? step_times_.PredictMore(0, std::min(rows, engine_.max_step_tokens)) : 0);
  };
  return costs;
}

void Scheduler::Submit(SequenceRequest request) {
  CheckInvariant(!request.prompt.empty(), "a prompt has at least one token");
  CheckInvariant(request.embeds ? engine_.embedding_size > 0 : engine_.generates, "the engine gives what is asked for");
  CheckInvariant(request.prompt_logprobs == kNoLogprobs || (engine_.max_logit_rows > 0 && !request.embeds),
                 "an engine that gives the logits of prompts is asked for scores");
  Enqueue(std::make_unique<Sequence>(std::move(request)));
}

void Scheduler::Enqueue(std::unique_ptr<Sequence> sequence) {
  sequence->turn = TurnOf(*sequence);
  const auto place = std::ranges::upper_bound(queue_, sequence->turn, {}, [](const auto& queued) { return queued->turn; });
  queue_.insert(place, std::move(sequence));
}

// The sooner the earlier it came, the less of its prompt is missing, and the higher its priority.
TimePoint Scheduler::TurnOf(const Sequence& sequence) const {
  MixedLoad missing;
  missing.prompts.Add(sequence.missing(), sequence.computed, sequence.OutputsOf(sequence.missing()));
  const std::chrono::duration<double> prompt_time(step_times_.Predict(missing));
  return sequence.request.arrived + std::chrono::duration_cast<TimePoint::duration>(prompt_time) -
         std::chrono::seconds(sequence.request.priority);
}

const StepPlan& Scheduler::Plan(TimePoint now) {
  planned_at_ = now;
  plan_.Clear();
  planned_.clear();
  Sweep(now);
  DrawFromHeldRows();
  MakeRoomForDecodes();
  Admit();
  CloseSlotGaps();
  plan_.operations.swap(pending_operations_);

  PlanDecodes();
  PlanPrompts();
  predicted_step_s_ = step_times_.Predict(load_);
  plan_.expected_s = predicted_step_s_;
  return plan_;
}

// What runs and what may be admitted, as much as fits into a step. Beside answers prompts take what their target leaves.
double Scheduler::ForecastStep() const {
  if (!step_times_.known()) return 0;
  MixedLoad load;
  for (const auto& sequence : running_) {
    if (sequence->wants_decode()) load.decodes.Add(1, sequence->computed, true);
  }
  const double decodes_s = load.decodes.rows > 0 ? step_times_.Predict(load) : 0;
  const auto add_prompt = [&](const Sequence& sequence) {
    const int rows = std::min(sequence.missing(), engine_.max_step_tokens - load.rows());
    if (rows > 0) load.prompts.Add(rows, sequence.computed, rows == sequence.missing());
  };
  for (const auto& sequence : running_) {
    if (sequence->wants_prompt()) add_prompt(*sequence);
  }
  const int places = std::max(0, max_running_ - running());
  for (const auto& sequence : queue_ | std::views::take(places)) add_prompt(*sequence);
  if (load.rows() == 0) return 0;
  const double whole_s = step_times_.Predict(load);
  return decodes_s > 0 ? std::min(whole_s, std::max(kSlowdownOfTwoPasses * decodes_s, kShortPromptStep_s)) : whole_s;
}

// What misses one token, in the order in which the engine computes it best.
void Scheduler::PlanDecodes() {
  decodes_.clear();
  load_ = {};
  logit_rows_left_ = engine_.max_logit_rows;
  is_scored_ = false;
  for (const auto& sequence : running_) {
    if (sequence->wants_decode()) decodes_.push_back(sequence.get());
  }
  if (engine_.prefers_dense_slots) std::ranges::sort(decodes_, {}, [](const Sequence* s) { return s->slot; });
  for (Sequence* sequence : decodes_) AddWork(*sequence, 1, load_.decodes);
  target_step_s_ = 0;
  if (decodes_.empty() || !step_times_.known()) return;
  const bool is_automatic = target_step_ms_ == 0;
  target_step_s_ = is_automatic ? Pace(step_times_.Predict(load_)) : target_step_ms_ * 1e-3;
  whole_prompt_step_s_ = is_automatic ? std::max(target_step_s_, kShortPromptStep_s) : target_step_s_;
}

// Set when the cutting of a prompt begins, and kept until it ends or others run: gaps stay even, though decodes take longer as contexts
// grow.
double Scheduler::Pace(double decodes_s) {
  const auto begun = std::ranges::find_if(running_, [](const auto& sequence) { return sequence->has_begun; });
  const bool is_kept = begun != running_.end() && pace_.seconds > 0 && pace_.prompt == (*begun)->request.id &&
                       pace_.decodes == decodes_.size() && pace_.running == running_.size();
  if (!is_kept) {
    pace_ = {.seconds = Slowdown() * decodes_s, .prompt = {}, .decodes = decodes_.size(), .running = running_.size()};
    if (begun != running_.end()) pace_.prompt = (*begun)->request.id;
  }
  return std::max(pace_.seconds, kLeastSlowdown * decodes_s);
}

// Each that waits for its first token gets twice as much of the time as each that has it: large chunks are worth more than even gaps to
// a burst that starts together.
double Scheduler::Slowdown() const {
  const auto decodes = static_cast<double>(decodes_.size());
  const double least = engine_.computes_prompts_apart ? kSlowdownOfTwoPasses : kSlowdown;
  return std::max(least, 1 + 2 * (running() - decodes) / decodes);
}

// By turn. At most one prompt is partly computed: while one is, others go into the step only as a whole. One that is scored may be cut
// where the step has room for others.
void Scheduler::PlanPrompts() {
  prompts_.clear();
  for (const auto& sequence : running_) {
    if (sequence->wants_prompt()) prompts_.push_back(sequence.get());
  }
  std::ranges::stable_sort(prompts_, {}, [this](const Sequence* sequence) { return TurnOf(*sequence); });
  bool one_has_begun = std::ranges::any_of(prompts_, &Sequence::has_begun);
  while (!prompts_.empty()) {
    const auto next = std::ranges::find_if(prompts_, [&](const Sequence* sequence) {
      if (sequence->scores.missing() && logit_rows_left_ == 0) return false;
      return !one_has_begun || sequence->has_begun || RoomFor(*sequence) == sequence->missing();
    });
    if (next == prompts_.end()) return;
    Sequence& sequence = **next;
    const int rows = RoomFor(sequence);
    if (rows == 0) return;
    if (sequence.has_begun) one_has_begun = false;
    sequence.has_begun = rows < sequence.missing();
    AddWork(sequence, rows, load_.prompts);
    if (sequence.has_begun && (target_step_s_ > 0 || !sequence.scores.missing())) return;
    one_has_begun = one_has_begun || sequence.has_begun;
    prompts_.erase(next);
  }
}

int Scheduler::MostRows(const Sequence& sequence) const {
  const int budget = engine_.max_step_tokens - load_.rows();
  const bool is_whole = sequence.request.embeds && engine_.embeds_whole;
  if (is_whole && budget < sequence.missing()) return 0;
  const int most = std::min(sequence.missing(), budget);
  return sequence.scores.missing() ? std::min(most, logit_rows_left_ + 1) : most;
}

int Scheduler::RoomFor(const Sequence& sequence) const {
  int most = MostRows(sequence);
  if (target_step_s_ == 0 || (sequence.request.embeds && engine_.embeds_whole)) return most;
  const bool is_scored = sequence.scores.missing();
  if (is_scored && !has_learned_scores_) most = std::min(most, kFirstScoredRows);
  if (!sequence.has_begun && most == sequence.missing()) {
    MixedLoad with_all = load_;
    with_all.prompts.Add(most, sequence.computed, sequence.OutputsOf(most));
    if (step_times_.Predict(with_all) <= whole_prompt_step_s_) return most;
  }
  const int least = load_.prompts.chunks == 0 ? std::min(most, kLeastChunk) : 0;
  return std::max(least, step_times_.RowsWithin(target_step_s_, load_, sequence.computed, most, is_scored));
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
      End(sequence, sequence.state == RequestState::kQueued ? RequestState::kCancelled : RequestState::kFinished, FinishReason::kStop);
      return true;
    case RequestControl::Signal::kNone:
      break;
  }
  const bool queued = sequence.state == RequestState::kQueued;  // it has never run
  std::string message;
  if (queued && now >= sequence.request.start_by) {
    message = "no place became free in the time that a request may wait (scheduler.queue_timeout)";
  } else if (now < sequence.request.deadline) {
    return false;
  } else if (queued) {
    message = "the request's deadline passed while it waited for a free place";
  } else {
    message = fmt::format("the request's deadline passed after {} of at most {} tokens", sequence.generated(), sequence.request.max_tokens);
  }
  End(sequence, RequestState::kTimedOut, FinishReason::kStop, {ErrorCode::kTimedOut, std::move(message), {}});
  return true;
}

// In order of priority, then of admission. Where no block is left, a sequence gives way.
void Scheduler::MakeRoomForDecodes() {
  decodes_.clear();
  for (const auto& sequence : running_) {
    if (sequence->missing() == 1 || sequence->decodes()) decodes_.push_back(sequence.get());
  }
  std::ranges::stable_sort(decodes_, std::greater(), [](const Sequence* sequence) { return sequence->request.priority; });
  for (Sequence* sequence : decodes_) {
    while (sequence->state == RequestState::kRunning && !cache_->Reserve(sequence->slot, sequence->missing())) Preempt(ChooseVictim());
  }
}

// Of those that free a block the least important, then the one whose blocks cost the least to compute again, then the youngest.
Scheduler::Sequence& Scheduler::ChooseVictim() const {
  const auto loss = [this](const auto& sequence) {
    const PreemptionCost cost = cache_->CostOfRelease(sequence->slot);
    const double per_block = cost.freed_blocks > 0 ? static_cast<double>(cost.lost_tokens) / cost.freed_blocks : 0;
    return std::tuple(cost.freed_blocks == 0, sequence->request.priority, per_block);
  };
  return **std::ranges::min_element(running_ | std::views::reverse, {}, loss);
}

void Scheduler::Preempt(Sequence& sequence) {
  Transition(sequence, RequestState::kPreempted);
  cache_->Release(sequence.slot, /*keep=*/true, pending_operations_);
  sequence.slot = -1;
  sequence.computed = 0;
  sequence.has_begun = false;
  sequence.held_row.clear();
  ++events_.preemptions;
  const auto place = std::ranges::find(running_, &sequence, &std::unique_ptr<Sequence>::get);
  std::unique_ptr<Sequence> taken = std::move(*place);
  running_.erase(place);
  Enqueue(std::move(taken));
}

// In turn; but who would compute what a running sequence is computing already lets others pass.
void Scheduler::Admit() {
  for (auto next = queue_.begin(); next != queue_.end() && running() < max_running_;) {
    const bool reuses = (*next)->reuses_prefix();
    const std::span<const TokenId> reusable = reuses ? std::span<const TokenId>((*next)->tokens) : std::span<const TokenId>();
    const RootedTokens prompt(reusable, (*next)->request.cache_root);
    if (reuses && cache_->IsWorthWaiting(prompt)) {
      ++next;
      continue;
    }
    if (!cache_->HasRoom(prompt, (*next)->needed())) return;
    Start(std::move(*next));
    next = queue_.erase(next);
  }
}

void Scheduler::Start(std::unique_ptr<Sequence> sequence) {
  const RootedTokens prompt(sequence->tokens, sequence->request.cache_root);
  const auto grant =
      sequence->reuses_prefix() ? cache_->Admit(prompt, pending_operations_) : cache_->AdmitAnew(prompt, pending_operations_);
  CheckInvariant(grant.has_value(), "what has room is admitted");
  sequence->slot = grant->slot;
  sequence->computed = grant->cached_tokens;
  if (sequence->state == RequestState::kQueued) events_.starts.push_back({sequence->request.id, grant->cached_tokens});
  Transition(*sequence, RequestState::kRunning);
  sequence->started = planned_at_;
  running_.push_back(std::move(sequence));
}

// Where the engine computes neighbouring slots together, the sequence in the highest slot fills the lowest gap.
void Scheduler::CloseSlotGaps() {
  const auto gap = cache_->GapToClose();
  if (!gap) return;
  Sequence& sequence = **std::ranges::find(running_, gap->from, [](const auto& s) { return s->slot; });
  // What the engine has of an embedding stays with the slot.
  if (sequence.request.embeds || sequence.remaining() < kLeastTokensWorthAMove) return;
  cache_->Close(*gap, pending_operations_);
  sequence.slot = gap->to;
}

void Scheduler::AddWork(Sequence& sequence, int rows, StepLoad& load) {
  const auto first_block = static_cast<int>(plan_.blocks.size());
  cache_->TakeNewBlocks(sequence.slot, plan_.blocks);
  const int logit_rows = std::max(1, sequence.LogitRowsOf(rows));
  logit_rows_left_ -= logit_rows - 1;
  plan_.sequences.push_back({.slot = sequence.slot,
                             .computed = sequence.computed,
                             .first_row = static_cast<int>(plan_.tokens.size()),
                             .rows = rows,
                             .output = sequence.OutputOf(rows),
                             .first_block = first_block,
                             .blocks = static_cast<int>(plan_.blocks.size()) - first_block,
                             .logit_rows = logit_rows});
  const auto first = sequence.tokens.begin() + sequence.computed;
  plan_.tokens.insert(plan_.tokens.end(), first, first + rows);
  planned_.push_back(&sequence);
  load.Add(rows, sequence.computed, sequence.OutputsOf(rows));
}

void Scheduler::Score(const StepResult& result) {
  if (std::exchange(is_scored_, true)) return;
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    Sequence& sequence = *planned_[i];
    if (result.sequences[i].status) {
      sequence.scores.Add(sequence.request.prompt, plan_.sequences[i], result.sequences[i].logits, scratch_);
    }
  }
}

void Scheduler::Commit(const StepResult& result, TimePoint now) {
  CheckInvariant(result.sequences.size() == planned_.size(), "a step has one result for each sequence");
  Score(result);
  LearnStepTime(result, now);
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    CommitSequence(*planned_[i], plan_.sequences[i], result.sequences[i], now);
  }
  planned_.clear();
  RemoveEnded();
}

// A step that copied or moved keys and values, or that failed, says little about others.
void Scheduler::LearnStepTime(const StepResult& result, TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - planned_at_).count();
  const bool is_plain = std::ranges::none_of(plan_.operations, [](const KvOperation& operation) {
    return operation.kind == KvOperation::Kind::kMove || operation.kind == KvOperation::Kind::kCopy;
  });
  const bool is_whole = std::ranges::all_of(result.sequences, [](const SequenceResult& r) { return r.status.has_value(); });
  if (load_.rows() == 0 || seconds <= 0 || !is_plain || !is_whole) return;
  step_times_.Observe(load_, seconds, result.prompt_seconds);
  has_learned_scores_ = has_learned_scores_ || plan_.logit_rows_beside() > 0;
}

void Scheduler::CommitSequence(Sequence& sequence, const SequenceWork& work, const SequenceResult& result, TimePoint now) {
  if (!result.status) {
    End(sequence, RequestState::kFailed, FinishReason::kStop, result.status.error(), /*keep_kv=*/false);
    return;
  }
  const int prompt_left = static_cast<int>(sequence.request.prompt.size()) - sequence.computed;
  (sequence.request.embeds ? events_.embedding_tokens : events_.prompt_tokens) += std::clamp(prompt_left, 0, work.rows);
  cache_->Append(sequence.slot, std::span(sequence.tokens).subspan(sequence.computed, work.rows));
  sequence.computed += work.rows;
  if (sequence.request.reports_prompt && prompt_left > 0) {
    events_.prompts.push_back({sequence.request.id, sequence.computed - std::max(0, work.rows - prompt_left)});
  }
  // What ended while the step computed gets no further token.
  if (EndIfDue(sequence, now)) return;
  CommitScores(sequence);
  if (IsTerminal(sequence.state) || sequence.missing() > 0) return;
  if (sequence.generates()) {
    Draw(sequence, result.logits.last(static_cast<std::size_t>(engine_.vocab_size)), kPatience);
  } else if (!sequence.request.embeds) {
    End(sequence, RequestState::kFinished, FinishReason::kLength);
  }
  if (work.output == RowOutput::kEmbedding) {
    events_.embeddings.push_back({sequence.request.id, {result.embedding.begin(), result.embedding.end()}});
    End(sequence, RequestState::kFinished, FinishReason::kStop, {}, /*keep_kv=*/false);
  }
}

void Scheduler::CommitScores(Sequence& sequence) {
  Result<std::vector<TokenScore>> scores = sequence.scores.Take();
  if (!scores) return End(sequence, RequestState::kFailed, FinishReason::kStop, scores.error());
  if (!scores->empty()) events_.scores.push_back({sequence.request.id, *std::move(scores)});
}

void Scheduler::Draw(Sequence& sequence, std::span<const float> logits, std::chrono::microseconds patience) {
  TokenMask mask;
  if (sequence.request.constraint) {
    const Result<std::optional<TokenMask>> next = sequence.request.constraint->Next(patience);
    if (!next) return End(sequence, RequestState::kFailed, FinishReason::kStop, next.error());
    if (!*next) {
      if (!sequence.awaits_mask()) sequence.held_row.assign(logits.begin(), logits.end());
      return;
    }
    mask = **next;
    if (mask.is_end) return End(sequence, RequestState::kFinished, FinishReason::kStop);
    // Each token whose log-probability is asked for needs a row of its own.
    if (!mask.forced.empty() && sequence.request.sampling.top_logprobs == kNoLogprobs) return AppendForced(sequence, mask.forced);
  }
  // The position of the token that is about to be drawn: the draw depends on nothing else.
  const auto position = static_cast<std::uint64_t>(sequence.known());
  const Result<SampledToken> token = sequence.sampler.Sample(logits, position, scratch_, mask);
  if (!token) return End(sequence, RequestState::kFailed, FinishReason::kStop, token.error());
  sequence.held_row.clear();
  AppendToken(sequence, *token);
}

void Scheduler::DrawFromHeldRows() {
  for (const auto& sequence : running_) {
    if (sequence->awaits_mask()) Draw(*sequence, sequence->held_row, std::chrono::microseconds(0));
  }
  RemoveEnded();
}

// Without a draw: whatever the logits are, nothing else may come. They are computed together.
void Scheduler::AppendForced(Sequence& sequence, std::span<const TokenId> tokens) {
  const std::vector<TokenId> all(tokens.begin(), tokens.end());  // the mask ends with the first of them
  sequence.held_row.clear();
  for (const TokenId token : all) {
    if (sequence.state == RequestState::kRunning) AppendToken(sequence, {.token = token, .logprob = 0, .top = {}});
  }
}

void Scheduler::AppendToken(Sequence& sequence, const SampledToken& token) {
  if (std::ranges::binary_search(sequence.request.stop_tokens, token.token)) {
    End(sequence, RequestState::kFinished, FinishReason::kStop);
    events_.ends.back().stop_token = token;
    return;
  }
  sequence.tokens.push_back(token.token);
  sequence.sampler.Accept(token.token);
  if (sequence.request.constraint) sequence.request.constraint->Accept(token.token);
  events_.tokens.push_back({sequence.request.id, token});
  if (sequence.remaining() == 0 || sequence.known() >= engine_.max_context) {
    End(sequence, RequestState::kFinished, FinishReason::kLength);
  }
}

void Scheduler::Transition(Sequence& sequence, RequestState state) {
  CheckInvariant(CanTransition(sequence.state, state), "a request changes its state only as the table allows");
  sequence.state = state;
}

void Scheduler::End(Sequence& sequence, RequestState state, FinishReason reason, Error error, bool keep_kv) {
  Transition(sequence, state);
  events_.ends.push_back({sequence.request.id, state, reason, std::move(error)});
  if (sequence.slot < 0) return;
  if (state == RequestState::kFinished) {
    const double run_s = Seconds(planned_at_ - sequence.started);
    typical_run_s_ = typical_run_s_ ? *typical_run_s_ + (run_s - *typical_run_s_) * kWeightOfARun : run_s;
  }
  cache_->Release(sequence.slot, keep_kv, pending_operations_);
  sequence.slot = -1;
  sequence.computed = 0;
}

double Scheduler::SecondsToFreePlace(TimePoint now) const {
  if (running() < max_running_ || !step_times_.known()) return 0;
  MixedLoad load;
  for (const auto& sequence : running_) load.decodes.Add(1, sequence->computed, 1);
  const double step_s = step_times_.Predict(load);
  double least = std::numeric_limits<double>::infinity();
  for (const auto& sequence : running_) least = std::min(least, SecondsLeft(*sequence, step_s, now));
  return least;
}

// No longer than its tokens take. Most end earlier: as others did, and one that has outlived them about when it will be twice as old.
double Scheduler::SecondsLeft(const Sequence& sequence, double step_s, TimePoint now) const {
  double most = sequence.remaining() * step_s;
  if (sequence.missing() > 1) {
    MixedLoad prompt;
    prompt.prompts.Add(sequence.missing(), sequence.computed, sequence.OutputsOf(sequence.missing()));
    most += step_times_.Predict(prompt);
  }
  most = std::min(most, Seconds(sequence.request.deadline - now));
  if (!typical_run_s_) return most;
  const double age = Seconds(now - sequence.started);
  return std::min(most, age < *typical_run_s_ ? *typical_run_s_ - age : age);
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

bool Scheduler::AwaitsMasks() const { return plan_.empty() && std::ranges::any_of(running_, &Sequence::awaits_mask); }

std::int64_t Scheduler::computed_tokens() const {
  std::int64_t sum = 0;
  for (const auto& sequence : running_) sum += sequence->computed;
  return sum;
}

void Scheduler::CheckInvariants() const {
  CheckInvariant(running() <= max_running_, "no more sequences run than may");
  cache_->CheckInvariants();
  CheckInvariant(cache_->in_use() == running(), "a slot is taken only by a running sequence");
  std::vector<bool> used(static_cast<std::size_t>(engine_.max_sequences), false);
  for (const auto& sequence : running_) {
    CheckInvariant(sequence->state == RequestState::kRunning, "what is among the running is running");
    CheckInvariant(sequence->slot >= 0 && !used.at(sequence->slot), "each running sequence has a slot of its own");
    used[sequence->slot] = true;
    CheckInvariant(std::ranges::equal(cache_->computed(sequence->slot), std::span(sequence->tokens).first(sequence->computed)),
                   "a slot holds what its sequence has computed");
    CheckInvariant(sequence->awaits_mask() ? sequence->missing() == 0 : sequence->missing() >= 1,
                   "a running sequence has a token to compute, or waits to draw one");
    CheckInvariant(sequence->remaining() >= 1, "a running sequence has a token to generate");
    CheckInvariant(sequence->known() <= engine_.max_context, "a sequence fits into the context");
  }
  for (const auto& sequence : queue_) {
    CheckInvariant(sequence->state == RequestState::kQueued || sequence->state == RequestState::kPreempted,
                   "what waits is queued or has given way");
    CheckInvariant(sequence->slot < 0 && sequence->computed == 0, "what waits holds nothing");
  }
}

}  // namespace cllm
