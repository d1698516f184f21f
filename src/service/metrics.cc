#include "service/metrics.h"

namespace cllm {
namespace {

constexpr std::size_t kTokenBuckets = 18;  // up to 131,072

// 1 ms to 524 s.
Histogram LatencyHistogram() { return Histogram(GeometricBounds(0.001, 2, 20)); }

}  // namespace

Histogram StepSecondsHistogram() { return Histogram(GeometricBounds(0.0001, 2, 20)); }

std::string_view RequestOutcomeName(RequestOutcome outcome) {
  switch (outcome) {
    case RequestOutcome::kFinished:
      return "finished";
    case RequestOutcome::kCancelled:
      return "cancelled";
    case RequestOutcome::kTimedOut:
      return "timed_out";
    case RequestOutcome::kInvalid:
      return "invalid";
    case RequestOutcome::kFailed:
      break;
  }
  return "failed";
}

RequestOutcome OutcomeOf(const Status& status) {
  if (status) return RequestOutcome::kFinished;
  switch (status.error().code) {
    case ErrorCode::kCancelled:
      return RequestOutcome::kCancelled;
    case ErrorCode::kTimedOut:
      return RequestOutcome::kTimedOut;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kContextLength:
      return RequestOutcome::kInvalid;
    default:
      return RequestOutcome::kFailed;
  }
}

RequestMetrics::RequestMetrics()
    : queue_seconds(LatencyHistogram()),
      first_token_seconds(LatencyHistogram()),
      inter_token_seconds(StepSecondsHistogram()),
      response_seconds(LatencyHistogram()),
      prompt_tokens(GeometricBounds(1, 2, kTokenBuckets)),
      generated_tokens(GeometricBounds(1, 2, kTokenBuckets)) {}

void RequestMetrics::RecordEnd(const Status& status, double response_s) {
  const RequestOutcome outcome = OutcomeOf(status);
  ++ended_[static_cast<std::size_t>(outcome)];
  if (outcome == RequestOutcome::kFinished) response_seconds.Record(response_s);
}

void RequestMetrics::RecordEnd(const GenerationEnd& end) {
  const RequestOutcome outcome = OutcomeOf(end.status);
  ++ended_[static_cast<std::size_t>(outcome)];
  if (end.queue_time_s > 0) queue_seconds.Record(end.queue_time_s);
  if (end.generated_tokens > 0) first_token_seconds.Record(end.first_token_time_s);
  if (outcome != RequestOutcome::kFinished) return;
  response_seconds.Record(end.response_time_s);
  prompt_tokens.Record(end.prompt_tokens);
  generated_tokens.Record(end.generated_tokens);
}

}  // namespace cllm
