// A server without its text and its network: admission, scheduler and a fake engine under a virtual clock, with seeded
// arrivals, cancels, timeouts and failures. Whatever happens, the rules that hold for every request are checked.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace cllm {

struct SimulationOptions {
  std::uint64_t seed = 1;  // everything follows from it: the engine's shape, the load, what goes wrong
  std::int64_t requests = 10'000;
  int check_every = 1;  // the books are checked after one step in so many
};

struct SimulationReport {
  std::int64_t accepted = 0;
  std::int64_t refused = 0;
  std::array<std::int64_t, 4> ends{};  // finished, cancelled, timed out, failed
  std::int64_t steps = 0;
  std::int64_t tokens = 0;         // generated
  std::int64_t cached_tokens = 0;  // of prompts, not computed
  std::int64_t preemptions = 0;    // sequences that gave way where the blocks had run out
  std::int64_t embeddings = 0;     // that were computed, and compared with an undisturbed run's
  std::int64_t scored = 0;         // prompts, whose scores were compared likewise
  std::int64_t compared = 0;       // finished answers that were compared with an undisturbed run's
  int most_queued = 0;
  double longest_wait_s = 0;  // for a place; virtual
  double seconds = 0;         // virtual
};

// An error is a rule that was broken. It says which, at which step, for which request.
Result<SimulationReport> Simulate(const SimulationOptions& options);

// The command that runs the same again.
std::string ReplayCommand(const SimulationOptions& options);

}  // namespace cllm
