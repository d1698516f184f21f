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
using BlockId = std::int32_t;

// What the scheduler has to know of an engine. Fixed once the engine is loaded.
struct EngineCapabilities {
  std::string name;
  int vocab_size = 0;
  // Sequences that can hold KV at a time; slots are numbered 0 … max_sequences - 1.
  int max_sequences = 1;
  // Most tokens in one step, over all sequences.
  int max_step_tokens = 512;
  // Most rows of one step that give logits, beside the last one of each sequence. 0: there are none beside, and so no prompt is scored.
  int max_logit_rows = 0;
  // Most tokens of one sequence, prompt and answer together.
  int max_context = 2048;
  // Whether it gives logits, and so can generate.
  bool generates = true;
  // Numbers of the embedding that it gives of a sequence; 0: it gives none. With `scores` they are what a classifier says of it, of
  // which the first is how well a text answers a question.
  int embedding_size = 0;
  bool scores = false;
  // Whether a sequence whose embedding is wanted has to be computed in one step: each of its tokens sees all others.
  bool embeds_whole = false;
  // Whether a step is cheaper when the slots in use are neighbours, and its sequences stand in their order.
  bool prefers_dense_slots = false;
  // Whether what has several rows is computed in a pass of its own, wherever a step has decodes, too.
  bool computes_prompts_apart = false;
  // Whether one sequence's KV can be copied to another slot.
  bool can_copy_sequences = false;
  // Whether such a copy takes as long as one of all that a slot has room for, however few tokens are wanted.
  bool copies_whole_slots = false;
  // Whether the last tokens of a sequence's KV can be dropped.
  bool can_trim_sequences = false;
  // Where sequences keep their KV in blocks of one pool: tokens of a block, and how many there are. Else 0, and each slot holds
  // max_context tokens.
  int kv_block_tokens = 0;
  int kv_blocks = 0;
  // Kernels may change with the number of rows. A prompt of at least this many tokens computes this many of them anew after
  // a cached prefix, so that a repeated request is answered in the same bytes.
  int rows_after_prefix = 1;
};

// Runs before the rows of a step, in order.
struct KvOperation {
  enum class Kind : std::uint8_t {
    kDrop,       // frees the slot
    kMove,       // to the target slot, which is empty; empties the slot
    kCopy,       // the first `tokens` to the target slot, which is empty
    kTrim,       // keeps the first `tokens`
    kCopyBlock,  // one block of the pool to another; no slot
  };
  Kind kind = Kind::kDrop;
  int slot = 0;
  int target_slot = 0;  // kMove, kCopy
  int tokens = 0;       // kCopy, kTrim; no more than the slot holds
  BlockId block = 0;    // kCopyBlock
  BlockId target_block = 0;
  bool operator==(const KvOperation&) const = default;
};

// What the rows of a sequence give.
enum class RowOutput : std::uint8_t {
  kNothing,
  kLogits,         // those of the last `logit_rows` rows
  kEmbeddingPart,  // they are a part of a text whose embedding is wanted; more of it comes in a later step
  kEmbedding,      // with them that text is complete: its embedding
};

// The tokens that one sequence computes in a step: tokens[first_row … first_row + rows) of the plan at positions
// computed … computed + rows.
struct SequenceWork {
  int slot = 0;
  int computed = 0;
  int first_row = 0;
  int rows = 0;
  // A sequence that gives an embedding does so with its last rows, and those before are parts of it, from its first token on. It stays in
  // its slot.
  RowOutput output = RowOutput::kNothing;
  // blocks[first_block … first_block + blocks) of the plan follow those that the slot has; together they have room for all
  // tokens. Nothing where the engine has no blocks.
  int first_block = 0;
  int blocks = 0;
  int logit_rows = 1;  // kLogits; no more than `rows`
  bool operator==(const SequenceWork&) const = default;
};

// One step as plain data: it can be logged, replayed and compared.
struct StepPlan {
  std::vector<KvOperation> operations = {};
  std::vector<SequenceWork> sequences = {};
  std::vector<TokenId> tokens = {};
  std::vector<BlockId> blocks = {};
  // How long the scheduler thinks that this takes, in seconds; 0 where it doesn't know yet. Steps of different size can be compared by
  // their time over this.
  double expected_s = 0;

  // Rows that give logits, beside the last one of each sequence.
  int logit_rows_beside() const {
    int rows = 0;
    for (const SequenceWork& work : sequences) rows += work.output == RowOutput::kLogits ? work.logit_rows - 1 : 0;
    return rows;
  }
  void Clear() {
    operations.clear();
    sequences.clear();
    tokens.clear();
    blocks.clear();
    expected_s = 0;
  }
  bool empty() const { return sequences.empty() && operations.empty(); }
};

// What became of one sequence of the plan, in the plan's order.
struct SequenceResult {
  // vocab_size logits for each row that gives some, row after row; else empty. Owned by the engine; valid until the next Submit.
  std::span<const float> logits;
  Status status;
  // embedding_size numbers where they were wanted, as they come out of the model; likewise.
  std::span<const float> embedding = {};
};

struct StepResult {
  std::vector<SequenceResult> sequences;
  // How long the pass over the prompts took, of an engine that computes them apart; 0 where there was one pass.
  double prompt_seconds = 0;
};

using Ticket = std::uint64_t;

// Not thread safe: one thread, the engine thread, calls Submit and Wait in turn.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const EngineCapabilities& capabilities() const = 0;

  // Threads that compute the step in progress, or the last one. Any thread may ask.
  virtual int compute_threads() const { return 1; }

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
