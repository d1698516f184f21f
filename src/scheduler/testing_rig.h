// A scheduler on a fake engine with a clock of its own, for the tests of this folder: every step is checked against the
// rules that hold for all plans, and what became of each request is kept.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "scheduler/scheduler.h"

namespace cllm {

using std::chrono::milliseconds;

// What the fake model answers to `prompt`: at most `most` tokens, without the first stop token and what follows.
inline std::vector<TokenId> FakeAnswer(std::vector<TokenId> prompt, int most, const std::vector<TokenId>& stop_tokens = {},
                                       int vocab_size = FakeEngineOptions().vocab_size) {
  std::vector<TokenId> answer;
  while (static_cast<int>(answer.size()) < most) {
    const TokenId next = FakeEngine::NextToken(prompt, vocab_size);
    if (std::ranges::find(stop_tokens, next) != stop_tokens.end()) break;
    answer.push_back(next);
    prompt.push_back(next);
  }
  return answer;
}

// `length` tokens that differ from those of another `salt`; never 0, which tests use as poison.
inline std::vector<TokenId> SomePrompt(int length, int salt) {
  std::vector<TokenId> prompt;
  for (int i = 0; i < length; ++i) prompt.push_back(1 + (salt * 37 + i * 11) % 200);
  return prompt;
}

class SchedulerRig {
 public:
  struct Outcome {
    int starts = 0;
    int cached_tokens = 0;
    std::vector<int> prompt_tokens;  // as its PromptEvents say
    std::vector<TokenId> tokens;
    std::vector<std::vector<float>> embeddings;
    std::vector<TokenScore> scores;
    std::vector<EndEvent> ends;
    std::shared_ptr<RequestControl> control;
  };

  explicit SchedulerRig(const FakeEngineOptions& engine_options = {}, const SchedulerOptions& options = {})
      : SchedulerRig(engine_options, options, FakeEngine(engine_options).capabilities()) {}

  // With capabilities that are not the engine's own, to turn one of them off.
  SchedulerRig(const FakeEngineOptions& engine_options, const SchedulerOptions& options, EngineCapabilities capabilities)
      : engine(engine_options), scheduler(options, capabilities), held_(capabilities.max_sequences, 0) {}

  // Greedy, with a control; `change` may set the rest.
  RequestId Add(std::vector<TokenId> prompt, int max_tokens, const std::function<void(SequenceRequest&)>& change = {}) {
    SequenceRequest request;
    request.id = next_id_++;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    ends_without_logits_ = ends_without_logits_ || max_tokens == 0;
    request.sampling.temperature = 0;
    request.control = std::make_shared<RequestControl>();
    if (change) change(request);
    outcomes_[request.id].control = request.control;
    const RequestId id = request.id;
    scheduler.Submit(std::move(request));
    return id;
  }

  // Whose embedding is wanted.
  RequestId Embed(std::vector<TokenId> text, const std::function<void(SequenceRequest&)>& change = {}) {
    return Add(std::move(text), 1, [&](SequenceRequest& request) {
      request.embeds = true;
      if (change) change(request);
    });
  }

  // Whose prompt is scored, with so many alternatives.
  RequestId AddScored(std::vector<TokenId> prompt, int max_tokens, int alternatives,
                      const std::function<void(SequenceRequest&)>& change = {}) {
    return Add(std::move(prompt), max_tokens, [&](SequenceRequest& request) {
      request.prompt_logprobs = alternatives;
      ends_without_logits_ = true;
      if (change) change(request);
    });
  }

  // One turn of the engine loop. The plan is returned, checked and computed.
  StepPlan Step() {
    const StepPlan plan = scheduler.Plan(now);
    scheduler.CheckInvariants();
    CheckPlan(plan);
    if (!plan.empty()) {
      StepResult result;
      engine.Wait(engine.Submit(plan), result);
      if (step_time) now += step_time(plan);
      if (prompt_time) result.prompt_seconds = std::chrono::duration<double>(prompt_time(plan)).count();
      scheduler.Commit(result, now);
      scheduler.CheckInvariants();
    }
    TakeEvents();
    return plan;
  }

  void RunToEnd(int most_steps = 10'000) {
    while (scheduler.HasWork() && most_steps-- > 0) Step();
    EXPECT_FALSE(scheduler.HasWork()) << "the run does not end";
    EXPECT_EQ(engine.tokens_held(), has_blocks() ? 0 : scheduler.cached_tokens()) << "KV was left in the engine";
  }

  // Takes events outside of a step.
  void TakeEvents() {
    StepEvents events;
    scheduler.TakeEvents(events);
    for (const auto& [id, cached_tokens] : events.starts) {
      outcomes_.at(id).cached_tokens = cached_tokens;
      EXPECT_EQ(++outcomes_.at(id).starts, 1) << "request " << id << " started twice";
      start_order.push_back(id);
    }
    preemptions += events.preemptions;
    for (const PromptEvent& event : events.prompts) outcomes_.at(event.id).prompt_tokens.push_back(event.computed);
    std::set<RequestId> waiting = std::exchange(decoding_, {});
    for (const ScoreEvent& event : events.scores) {
      Outcome& outcome = outcomes_.at(event.id);
      EXPECT_EQ(outcome.starts, 1) << "request " << event.id << " has scores without a start";
      EXPECT_TRUE(outcome.tokens.empty() && outcome.ends.empty()) << "request " << event.id << " has scores after a token or its end";
      outcome.scores.insert(outcome.scores.end(), event.scores.begin(), event.scores.end());
    }
    for (const TokenEvent& event : events.tokens) {
      Outcome& outcome = outcomes_.at(event.id);
      EXPECT_EQ(outcome.starts, 1) << "request " << event.id << " has a token without a start";
      EXPECT_TRUE(outcome.ends.empty()) << "request " << event.id << " has a token after its end";
      outcome.tokens.push_back(event.token.token);
      waiting.erase(event.id);
      decoding_.insert(event.id);
    }
    for (const EmbeddingEvent& event : events.embeddings) {
      EXPECT_EQ(outcomes_.at(event.id).starts, 1) << "request " << event.id << " has an embedding without a start";
      EXPECT_TRUE(outcomes_.at(event.id).ends.empty()) << "request " << event.id << " has an embedding after its end";
      outcomes_.at(event.id).embeddings.push_back(event.embedding);
    }
    for (const EndEvent& event : events.ends) {
      outcomes_.at(event.id).ends.push_back(event);
      EXPECT_EQ(outcomes_.at(event.id).ends.size(), 1U) << "request " << event.id << " ended twice";
      waiting.erase(event.id);
      decoding_.erase(event.id);
    }
    // What gives way gets no token for a while, and so does what waits for its mask.
    if (has_blocks() || masks_come_late) return;
    EXPECT_TRUE(waiting.empty()) << "request " << (waiting.empty() ? 0 : *waiting.begin())
                                 << " was generating and got no token from a step";
  }

  const Outcome& outcome(RequestId id) const { return outcomes_.at(id); }
  const std::vector<TokenId>& tokens(RequestId id) const { return outcomes_.at(id).tokens; }
  void Signal(RequestId id, RequestControl::Signal signal) { outcomes_.at(id).control->Send(signal); }
  bool ended(RequestId id) const { return !outcomes_.at(id).ends.empty(); }
  // The one end of a request that has ended.
  EndEvent end(RequestId id) const {
    EXPECT_EQ(outcomes_.at(id).ends.size(), 1U) << "request " << id;
    return ended(id) ? outcomes_.at(id).ends.front() : EndEvent{};
  }

  FakeEngine engine;
  Scheduler scheduler;
  TimePoint now = TimePoint() + std::chrono::hours(1);
  // How long a step takes; at once where there is none.
  std::function<TimePoint::duration(const StepPlan&)> step_time;
  // What of it goes to a pass over prompts, on an engine that computes them apart.
  std::function<TimePoint::duration(const StepPlan&)> prompt_time;
  // Constraints may leave a sequence without a token for some steps.
  bool masks_come_late = false;
  std::vector<RequestId> start_order;
  int preemptions = 0;

 private:
  bool has_blocks() const { return engine.capabilities().kv_block_tokens > 0; }

  void CheckPlan(const StepPlan& plan) {
    for (const KvOperation& operation : plan.operations) {
      if (operation.kind == KvOperation::Kind::kCopyBlock) continue;
      using Kind = KvOperation::Kind;
      const int held = held_.at(operation.slot);
      if (operation.kind == Kind::kMove || operation.kind == Kind::kCopy) {
        EXPECT_GT(held, 0) << "a move of an empty slot";
        EXPECT_EQ(held_.at(operation.target_slot), 0) << "a move onto a slot in use";
        held_[operation.target_slot] = operation.kind == Kind::kMove ? held : operation.tokens;
      }
      if (operation.kind == Kind::kCopy || operation.kind == Kind::kTrim) {
        EXPECT_LE(operation.tokens, held) << "more than the slot holds";
        EXPECT_GT(operation.tokens, 0);
      }
      if (operation.kind == Kind::kTrim) held_[operation.slot] = operation.tokens;
      if (operation.kind == Kind::kMove || operation.kind == Kind::kDrop) held_[operation.slot] = 0;
    }
    const int budget = engine.capabilities().max_step_tokens;
    int rows = 0;
    bool prompts = false;
    std::set<int> slots;
    for (const SequenceWork& work : plan.sequences) {
      EXPECT_TRUE(slots.insert(work.slot).second) << "two sequences in slot " << work.slot;
      // The blocks of a shared prefix come with the first rows; the engine looks what they hold.
      if (has_blocks() && held_.at(work.slot) == 0) held_[work.slot] = work.computed;
      EXPECT_EQ(work.computed, held_.at(work.slot)) << "slot " << work.slot;
      EXPECT_EQ(work.first_row, rows);
      EXPECT_GE(work.rows, 1);
      const bool one_missing = work.rows == 1 && work.output == RowOutput::kLogits;
      // A chunk of a scored prompt may look like a decode.
      EXPECT_FALSE(one_missing && prompts && !ends_without_logits_) << "a decode stands behind a prompt chunk";
      prompts = prompts || !one_missing;
      rows += work.rows;
      held_[work.slot] += work.rows;
    }
    EXPECT_EQ(rows, static_cast<int>(plan.tokens.size()));
    EXPECT_LE(rows, budget);
    EXPECT_LE(plan.logit_rows_beside(), engine.capabilities().max_logit_rows);
    if (rows == budget || ends_without_logits_ || engine.capabilities().embeds_whole || scheduler.target_step_s() > 0 || masks_come_late)
      return;
    EXPECT_EQ(static_cast<int>(plan.sequences.size()), scheduler.running()) << "a sequence waits though there is room";
    for (const SequenceWork& work : plan.sequences) {
      EXPECT_TRUE(work.output == RowOutput::kLogits || work.output == RowOutput::kEmbedding) << "a chunk ends though there is room";
    }
  }

  RequestId next_id_ = 1;
  bool ends_without_logits_ = false;  // prompts without an answer, or such as are cut though the step has room
  std::map<RequestId, Outcome> outcomes_;
  std::set<RequestId> decoding_;  // got a token from the last step
  std::vector<int> held_;         // tokens in each slot, by the plans
};

}  // namespace cllm
