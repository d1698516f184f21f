#include "scheduler/request.h"

namespace cllm {

std::string_view RequestStateName(RequestState state) {
  switch (state) {
    case RequestState::kQueued: return "queued";
    case RequestState::kRunning: return "running";
    case RequestState::kFinished: return "finished";
    case RequestState::kCancelled: return "cancelled";
    case RequestState::kTimedOut: return "timed_out";
    case RequestState::kFailed: return "failed";
  }
  return "unknown";
}

bool IsTerminal(RequestState state) { return state != RequestState::kQueued && state != RequestState::kRunning; }

bool CanTransition(RequestState from, RequestState to) {
  switch (from) {
    case RequestState::kQueued: return to != RequestState::kQueued && to != RequestState::kFinished;
    case RequestState::kRunning: return IsTerminal(to);
    default: return false;
  }
}

}  // namespace cllm
