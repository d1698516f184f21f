// What the service measures of its steps and requests, for the metrics page. Recorded without a lock, read at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/histogram.h"
#include "service/generation.h"

namespace cllm {

// Bounds from 0.1 ms to 52 s: from a step of a tiny model to a long prompt on a slow machine.
Histogram StepSecondsHistogram();

struct StepMetrics {
  Histogram seconds = StepSecondsHistogram();                // inside the engine
  Histogram sequences{GeometricBounds(1, 2, 9)};             // that computed in the step
  Histogram tokens{GeometricBounds(1, 2, 13)};               // computed by the step: prompt chunks and decodes
  Histogram over_prediction{GeometricBounds(0.5, 1.1, 15)};  // time over what the scheduler thought it would be
};

template <typename Metrics>
struct HistogramField {
  Histogram Metrics::* field;
  std::string_view metric;  // its name on the metrics page
  std::string_view help;
};

inline constexpr std::array kStepHistograms = std::to_array<HistogramField<StepMetrics>>({
    {&StepMetrics::seconds, "cllm_step_duration_seconds", "Time of a step inside the engine."},
    {&StepMetrics::sequences, "cllm_step_sequences", "Sequences that computed in a step."},
    {&StepMetrics::tokens, "cllm_step_tokens", "Tokens computed in a step, prompts and answers."},
    {&StepMetrics::over_prediction, "cllm_step_duration_over_prediction", "Time of a step over what the scheduler thought it would be."},
});

enum class RequestOutcome : std::uint8_t { kFinished, kCancelled, kTimedOut, kInvalid, kFailed };
inline constexpr std::size_t kRequestOutcomes = 5;

std::string_view RequestOutcomeName(RequestOutcome outcome);
RequestOutcome OutcomeOf(const Status& status);

// Of accepted requests. Times are in seconds from acceptance, those between tokens aside.
class RequestMetrics {
 public:
  RequestMetrics();

  void RecordGap(double seconds) { inter_token_seconds.Record(seconds); }
  void RecordEnd(const GenerationEnd& end);
  // Of a request that generates nothing.
  void RecordEnd(const Status& status, double response_s);
  // One that finished, but isn't what it was constrained to be.
  void RecordInvalid() { ++invalid_answers_; }
  std::int64_t invalid_answers() const { return invalid_answers_; }
  std::int64_t ended(RequestOutcome outcome) const { return ended_[static_cast<std::size_t>(outcome)]; }

  Histogram queue_seconds;  // until it is admitted
  Histogram first_token_seconds;
  Histogram inter_token_seconds;  // between two tokens of one answer
  Histogram response_seconds;     // until the end; finished requests
  Histogram prompt_tokens;        // of finished requests
  Histogram generated_tokens;     // of finished requests

 private:
  std::array<std::atomic<std::int64_t>, kRequestOutcomes> ended_{};
  std::atomic<std::int64_t> invalid_answers_ = 0;
};

inline constexpr std::array kRequestHistograms = std::to_array<HistogramField<RequestMetrics>>({
    {&RequestMetrics::queue_seconds, "cllm_request_queue_time_seconds", "From acceptance to the start of computing."},
    {&RequestMetrics::first_token_seconds, "cllm_time_to_first_token_seconds", "From acceptance to the first token."},
    {&RequestMetrics::inter_token_seconds, "cllm_inter_token_latency_seconds", "Between two tokens of one answer."},
    {&RequestMetrics::response_seconds, "cllm_e2e_request_latency_seconds", "From acceptance to the end of finished requests."},
    {&RequestMetrics::prompt_tokens, "cllm_request_prompt_tokens", "Prompt tokens of finished requests."},
    {&RequestMetrics::generated_tokens, "cllm_request_generation_tokens", "Generated tokens of finished requests."},
});

}  // namespace cllm
