#include "scheduler/request.h"

namespace cllm {

std::string_view RequestStateName(RequestState state) {
  switch (state) {
    case RequestState::kQueued:
      return "queued";
    case RequestState::kRunning:
      return "running";
    case RequestState::kPreempted:
      return "preempted";
    case RequestState::kFinished:
      return "finished";
    case RequestState::kCancelled:
      return "cancelled";
    case RequestState::kTimedOut:
      return "timed_out";
    case RequestState::kFailed:
      return "failed";
  }
  return "unknown";
}

bool IsTerminal(RequestState state) { return state >= RequestState::kFinished; }

bool CanTransition(RequestState from, RequestState to) {
  switch (from) {
    case RequestState::kQueued:
      return to == RequestState::kRunning || (IsTerminal(to) && to != RequestState::kFinished);
    case RequestState::kRunning:
      return to == RequestState::kPreempted || IsTerminal(to);
    case RequestState::kPreempted:
      return to == RequestState::kRunning || IsTerminal(to);
    default:
      return false;
  }
}

}  // namespace cllm
