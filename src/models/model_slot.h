// One model of a registry: what becomes of it, and whose turn it is to go.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/model_registry.h"
#include "models/model_source.h"

namespace cllm {

using ModelClock = std::chrono::steady_clock;

struct ModelSlot {
  struct Waiter {
    std::uint64_t number = 0;
    ModelRegistry::Answer answer;
  };

  ConfiguredModel model;
  ListedModel shown;  // as it was when somebody last looked
  ModelState state = ModelState::kUnloaded;
  double load_progress = 0;  // while it loads, from 0 to 1
  std::unique_ptr<LoadedModel> loaded;
  std::int64_t bytes = 0;  // that it takes, from before its load until its end
  int leases = 0;
  int uses = 0;  // leases of who does not only look
  ModelClock::time_point last_used;
  std::vector<Waiter> waiters;
  bool is_wanted = false;   // somebody wants it loaded without waiting for it
  bool is_leaving = false;  // in memory, but only for who has it already
  Error failure;            // where the state is kFailed
  ModelClock::time_point failed_at;

  bool in_memory() const { return state == ModelState::kLoaded; }
  bool is_asked_for() const { return is_wanted || !waiters.empty(); }
  bool is_remote() const { return in_memory() && loaded->model().remote() != nullptr; }
  // Its process has ended by itself.
  bool has_ended() const { return is_remote() && loaded->model().remote()->has_ended(); }
  // When it is unloaded because nobody uses it; max() where it stays.
  ModelClock::time_point ExpiresAt() const;
  // As ListedModel has them.
  double SecondsLeft(ModelClock::time_point now) const;
  ListedModel Shown(ModelClock::time_point now) const;
};

// Who goes so that `wanted` fits: of those that nobody has the one that was used least recently, and where there is none, of all; null
// where nobody can go.
ModelSlot* ChooseVictim(std::span<ModelSlot> slots, const ModelSlot& wanted);

// One whose time is over, or null.
ModelSlot* FindExpired(std::span<ModelSlot> slots, ModelClock::time_point now);

// One whose process has ended and that nobody has sent away yet, or null.
ModelSlot* FindEnded(std::span<ModelSlot> slots);

// When somebody has to look again, though nothing is asked: max() where there is nothing to wait for.
ModelClock::time_point NextLook(std::span<const ModelSlot> slots, ModelClock::time_point now);

inline ModelClock::duration ClockTime(double seconds) {
  return std::chrono::duration_cast<ModelClock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace cllm
