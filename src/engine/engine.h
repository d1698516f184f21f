// The interface between the scheduler and whatever computes: a step goes in as plain data, logits come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace cllm {

using TokenId = std::int32_t;

// What the scheduler has to know of an engine. Fixed once the engine is loaded.
struct EngineCapabilities {
  std::string name;
  int vocab_size = 0;
  // Sequences that can hold KV at a time; slots are numbered 0 … max_sequences - 1.
  int max_sequences = 1;
  // Most tokens in one step, over all sequences.
  int max_step_tokens = 512;
  // Most tokens of one sequence, prompt and answer together.
  int max_context = 2048;
  // Whether a step is cheaper when the slots in use are neighbours and start at 0.
  bool prefers_dense_slots = false;
  // Whether one sequence's KV can be copied to another slot.
  bool can_copy_sequences = false;
};

// Runs before the rows of a step, in order.
struct KvOperation {
  enum class Kind : std::uint8_t { kDrop, kMove };
  Kind kind = Kind::kDrop;
  int slot = 0;         // kDrop: frees it; kMove: the source, empty afterwards
  int target_slot = 0;  // kMove only; must be empty
  bool operator==(const KvOperation&) const = default;
};

// The tokens that one sequence computes in a step: tokens[first_row … first_row + rows) of the plan at positions
// computed … computed + rows.
struct SequenceWork {
  int slot = 0;
  int computed = 0;
  int first_row = 0;
  int rows = 0;
  // Whether the last row's logits are wanted.
  bool wants_logits = false;
  bool operator==(const SequenceWork&) const = default;
};

// One step as plain data: it can be logged, replayed and compared.
struct StepPlan {
  std::vector<KvOperation> operations;
  std::vector<SequenceWork> sequences;
  std::vector<TokenId> tokens;

  void Clear() {
    operations.clear();
    sequences.clear();
    tokens.clear();
  }
  bool empty() const { return sequences.empty() && operations.empty(); }
};

// What became of one sequence of the plan, in the plan's order.
struct SequenceResult {
  // vocab_size logits where they were wanted, else empty. Owned by the engine; valid until the next Submit.
  std::span<const float> logits;
  Status status;
};

struct StepResult {
  std::vector<SequenceResult> sequences;
};

using Ticket = std::uint64_t;

// Not thread safe: one thread, the engine thread, calls Submit and Wait in turn.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const EngineCapabilities& capabilities() const = 0;

  // The first computation: touches every weight and sizes buffers, so that no request pays for it. Called once, before the
  // first Submit, on the thread that will compute: an engine may keep worker threads for each thread that calls it.
  virtual Status WarmUp() { return {}; }

  // Starts a step, or stores it where the engine can only compute inside Wait. The plan is copied or used up before
  // Wait returns; the caller keeps it alive until then.
  virtual Ticket Submit(const StepPlan& plan) = 0;

  // Blocks until the step is computed. A sequence whose status is an error has no usable KV any more.
  virtual void Wait(Ticket ticket, StepResult& result) = 0;
};

}  // namespace cllm
