#include "simulation/simulation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "engine/fake/fake_engine.h"
#include "scheduler/admission.h"
#include "scheduler/scheduler.h"

namespace cllm {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr TokenId kPoison = 0;
constexpr int kMostPriority = 3;
// One answer in so many is compared with what the fake model says; it costs the square of its length.
constexpr int kCompareEvery = 8;
// What came this much earlier, head starts aside, is never overtaken. Predicted times of prompts are below it.
constexpr double kPatience_s = 3;

TimePoint::duration Ticks(double seconds) { return std::chrono::duration_cast<TimePoint::duration>(Seconds(seconds)); }

// Draws in order, by the counter-based generator of the samplers.
class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  double Uniform(double from, double to) { return from + (to - from) * UniformAt(seed_, 0, counter_++); }
  int Between(int least, int most) { return static_cast<int>(Uniform(least, most + 1.0)); }
  bool Chance(double probability) { return Uniform(0, 1) < probability; }
  double Exponential(double mean) { return -mean * std::log(1 - Uniform(0, 1)); }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

constexpr int kContext = 160;
constexpr int kEmbeddingSize = 4;

FakeEngineOptions RandomEngine(Random& random) {
  FakeEngineOptions options{.vocab_size = 32,
                            .max_sequences = random.Between(1, 16),
                            .max_step_tokens = random.Between(8, 128),
                            .max_logit_rows = random.Between(1, 40),
                            .max_context = kContext,
                            .prefers_dense_slots = random.Chance(0.5),
                            .can_trim_sequences = random.Chance(0.7),
                            .embedding_size = random.Chance(0.5) ? kEmbeddingSize : 0,
                            .poison_token = kPoison};
  if (options.embedding_size > 0 && random.Chance(0.2)) {
    options.generates = false;
    options.embeds_whole = true;
    options.max_step_tokens += kContext;
    return options;
  }
  if (random.Chance(0.5)) {
    // From a pool that holds one sequence of full length to one that hardly runs out.
    options.kv_block_tokens = random.Between(1, 16);
    options.kv_blocks = static_cast<int>(random.Uniform(1, 2.5) * kContext / options.kv_block_tokens) + 1;
  }
  return options;
}

SchedulerOptions RandomScheduler(Random& random) {
  return {.max_batch_size = random.Between(1, 16),
          .request_timeout = random.Uniform(2, 60),
          .max_queue_size = random.Between(0, 60),
          .queue_timeout = random.Chance(0.3) ? random.Uniform(0.5, 5) : 0,
          .target_step_ms = random.Chance(0.5) ? random.Between(1, 100) : 0};
}

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        random_(options.seed),
        engine_(RandomEngine(random_)),
        scheduler_options_(RandomScheduler(random_)),
        scheduler_(scheduler_options_, engine_.capabilities()),
        mean_interval_s_(RandomInterval()) {
    for (std::vector<TokenId>& prefix : prefixes_) prefix = RandomTokens(random_.Between(20, 90));
  }

  Result<SimulationReport> Run() {
    next_arrival_ = now_ + Ticks(random_.Exponential(mean_interval_s_));
    while (!broken_ && (arrivals_ < options_.requests || scheduler_.HasWork())) {
      if (!scheduler_.HasWork()) now_ = std::max(now_, next_arrival_);
      while (arrivals_ < options_.requests && next_arrival_ <= now_) Arrive();
      if (random_.Chance(0.03)) SignalOne();
      Step();
      if (broken_) break;
    }
    if (!broken_) CheckEnd();
    if (broken_) return Fail(ErrorCode::kInternal, fmt::format("step {}: {}", report_.steps, *broken_));
    report_.seconds = Seconds(now_ - TimePoint{}).count();
    return report_;
  }

 private:
  struct Open {
    std::vector<TokenId> prompt;
    int max_tokens = 0;
    TimePoint arrived;
    std::shared_ptr<RequestControl> control;
    std::vector<TokenId> tokens;
    bool embeds = false;
    int prompt_logprobs = kNoLogprobs;
    std::vector<TokenScore> scores;
    std::vector<float> embedding;
    bool started = false;
    bool compares = false;
    bool stopped = false;  // its answer may be cut short
  };

  // From half of what the engine can do to seven times that.
  double RandomInterval() {
    const double rows = engine_.capabilities().max_step_tokens;
    const double seconds_per_request = 60 / rows * (step_s_ + rows * row_s_) + 8 * step_s_ / scheduler_.max_running();
    return seconds_per_request * std::exp(random_.Uniform(-2, 0.7));
  }

  std::vector<TokenId> RandomTokens(int length) {
    std::vector<TokenId> tokens;
    while (static_cast<int>(tokens.size()) < length) tokens.push_back(random_.Between(1, 31));
    return tokens;
  }

  std::vector<TokenId> RandomPrompt() {
    if (random_.Chance(0.6)) return RandomTokens(random_.Between(1, 50));
    std::vector<TokenId> prompt = prefixes_[static_cast<std::size_t>(random_.Between(0, 3))];
    const std::vector<TokenId> rest = RandomTokens(random_.Between(1, 20));
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    return prompt;
  }

  void Arrive() {
    ++arrivals_;
    const TimePoint arrived = next_arrival_;
    next_arrival_ += Ticks(random_.Exponential(mean_interval_s_));
    const AdmissionLimits limits{.max_running = scheduler_.max_running(), .max_queue = scheduler_options_.max_queue_size};
    const double timeout_s = scheduler_options_.request_timeout * (random_.Chance(0.2) ? random_.Uniform(0.001, 1) : 1);
    if (!CheckRoom(limits, static_cast<int>(open_.size()), drain_rate_.seconds_per_start(), timeout_s)) {
      ++report_.refused;
      return;
    }
    SequenceRequest request;
    request.id = ++report_.accepted;
    request.prompt = RandomPrompt();
    if (random_.Chance(0.02)) request.prompt[request.prompt.size() / 2] = kPoison;
    request.max_tokens = random_.Between(1, random_.Chance(0.3) ? 40 : 12);
    request.embeds = !engine_.capabilities().generates || (engine_.capabilities().embedding_size > 0 && random_.Chance(0.2));
    if (!request.embeds && random_.Chance(0.2)) request.prompt_logprobs = random_.Between(0, 2);
    if (request.prompt_logprobs != kNoLogprobs && random_.Chance(0.3)) request.max_tokens = 0;
    request.sampling.temperature = 0;
    if (random_.Chance(0.3)) request.stop_tokens = {random_.Between(1, 31)};
    request.arrived = arrived;
    request.priority = random_.Chance(0.3) ? random_.Between(-kMostPriority, kMostPriority) : 0;
    if (scheduler_options_.queue_timeout > 0) request.start_by = arrived + Ticks(scheduler_options_.queue_timeout);
    request.deadline = arrived + Ticks(timeout_s);
    request.control = std::make_shared<RequestControl>();
    open_[request.id] = {.prompt = request.prompt,
                         .max_tokens = request.max_tokens,
                         .arrived = arrived,
                         .control = request.control,
                         .tokens = {},
                         .embeds = request.embeds,
                         .prompt_logprobs = request.prompt_logprobs,
                         .scores = {},
                         .embedding = {},
                         .compares = request.id % kCompareEvery == 0 && request.stop_tokens.empty()};
    scheduler_.Submit(std::move(request));
  }

  // Somebody leaves, or has found its stop string.
  void SignalOne() {
    if (open_.empty()) return;
    auto one = open_.lower_bound(static_cast<RequestId>(random_.Between(0, static_cast<int>(report_.accepted))));
    if (one == open_.end()) one = open_.begin();
    const bool stops = random_.Chance(0.5) && !one->second.tokens.empty();
    one->second.stopped = true;
    one->second.control->Send(stops ? RequestControl::Signal::kStop : RequestControl::Signal::kCancel);
  }

  void Step() {
    ++report_.steps;
    const bool others_waited = scheduler_.queued() > 0;
    const StepPlan& plan = scheduler_.Plan(now_);
    const bool has_events = !plan.empty();
    if (!plan.empty()) {
      engine_.Wait(engine_.Submit(plan), result_);
      if (random_.Chance(0.002)) FailSome();
      now_ += Ticks((step_s_ + row_s_ * static_cast<double>(plan.tokens.size())) * random_.Uniform(0.9, 1.1));
      scheduler_.Commit(result_, now_);
    }
    scheduler_.TakeEvents(events_);
    if (!has_events && events_.empty()) return Break("a step with work to do does nothing");
    drain_rate_.Record(static_cast<int>(events_.starts.size()), others_waited, now_);
    report_.preemptions += events_.preemptions;
    for (const StartEvent& start : events_.starts) OnStart(start);
    for (const ScoreEvent& scores : events_.scores) OnScores(scores);
    for (const TokenEvent& token : events_.tokens) OnToken(token);
    for (const EmbeddingEvent& embedding : events_.embeddings) OnEmbedding(embedding);
    for (const EndEvent& end : events_.ends) OnEnd(end);
    report_.most_queued = std::max(report_.most_queued, scheduler_.queued());
    if (scheduler_.queued() + scheduler_.running() != static_cast<int>(open_.size())) Break("requests are lost or too many");
    if (scheduler_.queued() > scheduler_options_.max_queue_size + scheduler_.max_running()) Break("the queue is not bounded");
    if (report_.steps % options_.check_every == 0) scheduler_.CheckInvariants();
  }

  // The engine's own failures: of one sequence, or of the whole step.
  void FailSome() {
    const bool whole = random_.Chance(0.3);
    for (SequenceResult& sequence : result_.sequences) {
      if (!whole && !random_.Chance(0.3)) continue;
      sequence = {.logits = {}, .status = cllm::Fail(ErrorCode::kInternal, "the simulated engine failed")};
    }
  }

  Open* Find(RequestId id, const char* what) {
    const auto found = open_.find(id);
    if (found != open_.end()) return &found->second;
    Break(fmt::format("request {} {} after its end", id, what));
    return nullptr;
  }

  void OnStart(const StartEvent& start) {
    Open* request = Find(start.id, "starts");
    if (request == nullptr) return;
    if (request->started) Break(fmt::format("request {} starts twice", start.id));
    request->started = true;
    report_.cached_tokens += start.cached_tokens;
    report_.longest_wait_s = std::max(report_.longest_wait_s, Seconds(now_ - request->arrived).count());
    // By number is by arrival. Who waits for a prefix lets others pass, too, but not that long.
    for (const auto& [id, other] : open_) {
      if (other.started) continue;
      if (other.arrived + Ticks(kPatience_s + 2 * kMostPriority) < request->arrived) {
        Break(fmt::format("request {} starves: {} came much later and starts before it", id, start.id));
      }
      break;
    }
  }

  void OnScores(const ScoreEvent& event) {
    Open* request = Find(event.id, "has scores");
    if (request == nullptr) return;
    if (!request->started || !request->tokens.empty()) Break(fmt::format("request {} has scores at a wrong time", event.id));
    request->scores.insert(request->scores.end(), event.scores.begin(), event.scores.end());
  }

  void OnToken(const TokenEvent& event) {
    Open* request = Find(event.id, "has a token");
    if (request == nullptr) return;
    ++report_.tokens;
    if (!request->started) Break(fmt::format("request {} has a token before its start", event.id));
    request->tokens.push_back(event.token.token);
    if (static_cast<int>(request->tokens.size()) > request->max_tokens) Break(fmt::format("request {} is too long", event.id));
  }

  void OnEmbedding(const EmbeddingEvent& event) {
    Open* request = Find(event.id, "has an embedding");
    if (request == nullptr) return;
    if (!request->started) Break(fmt::format("request {} has an embedding before its start", event.id));
    if (!request->embeds || !request->embedding.empty()) Break(fmt::format("request {} has an embedding too many", event.id));
    request->embedding = event.embedding;
  }

  void OnEnd(const EndEvent& end) {
    const Open* request = Find(end.id, "ends");
    if (request == nullptr) return;
    if (!IsTerminal(end.state)) return Break(fmt::format("request {} ends as {}", end.id, RequestStateName(end.state)));
    ++report_.ends.at(static_cast<std::size_t>(end.state) - static_cast<std::size_t>(RequestState::kFinished));
    if (end.state == RequestState::kFinished && !request->stopped) CompareScores(end.id, *request);
    if (end.state == RequestState::kFinished && request->embeds && !request->stopped) CompareEmbedding(end.id, *request);
    if (end.state == RequestState::kFinished && request->compares && !request->embeds && !request->stopped) Compare(end.id, *request);
    open_.erase(end.id);
  }

  // Load, neighbours, shared prefixes and moves leave no trace in an answer.
  void Compare(RequestId id, const Open& request) {
    ++report_.compared;
    std::vector<TokenId> context = request.prompt;
    for (int i = 0; i < request.max_tokens; ++i) {
      const TokenId next = FakeEngine::NextToken(context, engine_.capabilities().vocab_size);
      if (static_cast<int>(request.tokens.size()) <= i || request.tokens[static_cast<std::size_t>(i)] != next) {
        return Break(fmt::format("request {} differs from an undisturbed run in token {}", id, i));
      }
      context.push_back(next);
    }
  }

  // Each token of the prompt once, by the logits of the row before it.
  void CompareScores(RequestId id, const Open& request) {
    if (request.scores.size() != (request.prompt_logprobs == kNoLogprobs ? 0 : request.prompt.size())) {
      return Break(fmt::format("request {} has {} scores", id, request.scores.size()));
    }
    for (std::size_t i = 0; i < request.scores.size(); ++i) {
      const TokenScore& score = request.scores[i];
      const auto before = std::span(request.prompt).first(i);
      const bool is_likeliest = i > 0 && FakeEngine::NextToken(before, engine_.capabilities().vocab_size) == request.prompt[i];
      if (score.token != request.prompt[i] || (score.rank == 0) != (i == 0) || (score.rank == 1) != is_likeliest) {
        return Break(fmt::format("request {} has a wrong score of token {}", id, i));
      }
    }
    report_.scored += request.scores.empty() ? 0 : 1;
  }

  void CompareEmbedding(RequestId id, const Open& request) {
    ++report_.embeddings;
    if (request.embedding == FakeEngine::Embedding(request.prompt, engine_.capabilities().embedding_size) && request.tokens.empty()) return;
    Break(fmt::format("request {} has another embedding than in an undisturbed run", id));
  }

  void CheckEnd() {
    if (!open_.empty()) Break(fmt::format("request {} has no end", open_.begin()->first));
    const bool has_blocks = engine_.capabilities().kv_block_tokens > 0;
    if (engine_.tokens_held() != (has_blocks ? 0 : scheduler_.cached_tokens())) Break("keys and values are left in the engine");
    if (report_.ends[0] + report_.ends[1] + report_.ends[2] + report_.ends[3] != report_.accepted) Break("ends are missing");
  }

  void Break(std::string what) {
    if (!broken_) broken_ = std::move(what);
  }

  SimulationOptions options_;
  Random random_;
  double step_s_ = random_.Uniform(0.001, 0.03);
  double row_s_ = step_s_ * random_.Uniform(0, 0.2);
  FakeEngine engine_;
  SchedulerOptions scheduler_options_;
  Scheduler scheduler_;
  double mean_interval_s_;
  std::array<std::vector<TokenId>, 4> prefixes_;
  TimePoint now_{};
  TimePoint next_arrival_{};
  std::int64_t arrivals_ = 0;
  DrainRate drain_rate_;
  std::map<RequestId, Open> open_;
  StepResult result_;
  StepEvents events_;
  SimulationReport report_;
  std::optional<std::string> broken_;
};

}  // namespace

Result<SimulationReport> Simulate(const SimulationOptions& options) { return Simulation(options).Run(); }

std::string ReplayCommand(const SimulationOptions& options) {
  return fmt::format("make simulate SEED={} REQUESTS={} CHECK_EVERY={}", options.seed, options.requests, options.check_every);
}

}  // namespace cllm
