// What the scheduler knows of a request: tokens in, tokens out, and how it ends. No text, no JSON.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/fields.h"
#include "base/status.h"
#include "engine/engine.h"
#include "kvcache/kv_cache.h"
#include "sampling/sampler.h"
#include "sampling/token_constraint.h"
#include "sampling/token_score.h"

namespace cllm {

using RequestId = std::uint64_t;
using TimePoint = std::chrono::steady_clock::time_point;

// queued → running → finished. Where memory runs out: running → preempted → running; what was computed is computed again.
// Queued, running and preempted ones may also become cancelled, timed out or failed.
enum class RequestState : std::uint8_t { kQueued, kRunning, kPreempted, kFinished, kCancelled, kTimedOut, kFailed };

std::string_view RequestStateName(RequestState state);
bool IsTerminal(RequestState state);
// The table of allowed transitions; every state change goes through it.
bool CanTransition(RequestState from, RequestState to);

enum class FinishReason : std::uint8_t { kLength, kStop };

// The one channel from the outside to a request that is with the scheduler. Any thread may set it, once.
class RequestControl {
 public:
  // What is said to `group` is said to all that belong to it.
  explicit RequestControl(std::shared_ptr<const RequestControl> group = nullptr) : group_(std::move(group)) {}

  enum class Signal : std::uint8_t {
    kNone,
    kCancel,  // the client left, or the server shuts down
    kStop,    // the answer is complete: a stop string was found
  };
  void Send(Signal signal) {
    Signal none = Signal::kNone;
    signal_.compare_exchange_strong(none, signal, std::memory_order_release, std::memory_order_relaxed);
  }
  Signal signal() const {
    const Signal own = signal_.load(std::memory_order_acquire);
    return own == Signal::kNone && group_ ? group_->signal() : own;
  }

 private:
  std::shared_ptr<const RequestControl> group_;
  std::atomic<Signal> signal_{Signal::kNone};
};

struct SequenceRequest {
  RequestId id = 0;
  std::vector<TokenId> prompt;  // at least one token
  int max_tokens = 1;           // prompt and max_tokens together fit into the engine's context; 0: the prompt is computed, and that is all
  SamplingParams sampling;
  std::uint32_t choice = 0;          // of several answers to one prompt: each draws its own tokens from the same seed
  std::vector<TokenId> stop_tokens;  // end the answer and are not a part of it; sorted
  std::string grammar = {};          // what `constraint` was made of
  bool embeds = false;               // the embedding of the prompt is wanted, and no answer
  bool reports_prompt = false;       // each step that computes some of the prompt says so
  // The prompt's tokens are scored, with so many alternatives each; kNoLogprobs: they aren't.
  int prompt_logprobs = kNoLogprobs;
  // Which tokens may come, where not all may. Of this sequence alone.
  std::shared_ptr<TokenConstraint> constraint = nullptr;
  CacheRoot cache_root = kCommonRoot;  // below which it finds and leaves keys and values, and its answer
  TimePoint arrived{};
  // A request is served as if it had arrived this many seconds earlier. So what came much earlier is never overtaken for ever.
  int priority = 0;
  TimePoint start_by = TimePoint::max();  // it may wait for a free place until then
  TimePoint deadline = TimePoint::max();  // the whole answer
  std::shared_ptr<RequestControl> control;
};

// What decides the answer, if it is computed to its end, or who may have it; and what doesn't. Each field is in one of the two.
inline auto FieldsOfAnswer(const SequenceRequest& request) {
  return std::tie(request.prompt, request.max_tokens, request.sampling, request.choice, request.stop_tokens, request.grammar,
                  request.embeds, request.prompt_logprobs, request.cache_root);
}
inline auto FieldsOfService(const SequenceRequest& request) {
  return std::tie(request.id, request.arrived, request.priority, request.start_by, request.deadline, request.control, request.constraint,
                  request.reports_prompt);
}
static_assert(std::tuple_size_v<decltype(FieldsOfAnswer(SequenceRequest()))> +
                      std::tuple_size_v<decltype(FieldsOfService(SequenceRequest()))> ==
                  FieldCount<SequenceRequest>(),
              "each field of a request decides its answer or doesn't");

// What a step did, in order: starts, then prompts, scores, tokens and embeddings, then ends.
struct StartEvent {
  RequestId id = 0;
  int cached_tokens = 0;  // of the prompt, whose KV was there already
};

// Where the request wants to know.
struct PromptEvent {
  RequestId id = 0;
  int computed = 0;  // tokens of the prompt
};

// Of the prompt's next tokens, from the first one on.
struct ScoreEvent {
  RequestId id = 0;
  std::vector<TokenScore> scores;
};

struct TokenEvent {
  RequestId id = 0;
  SampledToken token;
};

struct EmbeddingEvent {
  RequestId id = 0;
  std::vector<float> embedding;  // as it comes out of the model
};

struct EndEvent {
  RequestId id = 0;
  RequestState state = RequestState::kFinished;
  FinishReason reason = FinishReason::kStop;  // where finished
  Error error;                                // where timed out or failed
  // The one of the request's stop_tokens that ended the answer.
  std::optional<SampledToken> stop_token = {};
};

struct StepEvents {
  std::vector<StartEvent> starts;
  std::vector<ScoreEvent> scores = {};
  std::vector<TokenEvent> tokens;
  std::vector<EmbeddingEvent> embeddings = {};
  std::vector<PromptEvent> prompts = {};
  std::vector<EndEvent> ends;
  int prompt_tokens = 0;     // computed, of prompts that get answers
  int embedding_tokens = 0;  // computed, of texts whose embeddings are wanted
  int preemptions = 0;
  TimePoint planned_at{};  // when the step was planned: what starts in it has waited until then

  bool empty() const { return starts.empty() && prompts.empty() && scores.empty() && tokens.empty() && embeddings.empty() && ends.empty(); }
  void Clear() {
    starts.clear();
    scores.clear();
    tokens.clear();
    embeddings.clear();
    prompts.clear();
    ends.clear();
    prompt_tokens = 0;
    embedding_tokens = 0;
    preemptions = 0;
  }
};

}  // namespace cllm
