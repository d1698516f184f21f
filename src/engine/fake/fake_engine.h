// A deterministic toy: its "model" is a hash of the tokens that a sequence holds, so a test can predict every answer
// and notice a wrong position, a mixed-up slot or KV that was not freed.
#pragma once

#include <functional>
#include <vector>

#include "engine/engine.h"

namespace cllm {

struct FakeEngineOptions {
  int vocab_size = 256;
  int max_sequences = 4;
  int max_step_tokens = 64;
  int max_logit_rows = 16;
  int max_context = 256;
  bool prefers_dense_slots = false;
  bool can_trim_sequences = false;
  // As the capabilities of the same names.
  bool generates = true;
  int embedding_size = 0;
  bool scores = false;
  bool embeds_whole = false;
  // Keys and values in one pool of blocks; 0: each slot has its own.
  int kv_block_tokens = 0;
  int kv_blocks = 0;
  // Called inside Wait with the plan: tests use it to advance a clock, block, or look at the plan.
  std::function<void(const StepPlan&)> on_step = {};
  // A sequence whose context contains this token fails; -1 for none.
  TokenId poison_token = -1;
};

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(FakeEngineOptions options);

  const EngineCapabilities& capabilities() const override { return capabilities_; }
  Ticket Submit(const StepPlan& plan) override;
  void Wait(Ticket ticket, StepResult& result) override;

  // The token that the fake model puts first after `context`. Never 0, which tests use as end of text.
  static TokenId NextToken(std::span<const TokenId> context, int vocab_size);

  // The embedding that the fake model gives of a text.
  static std::vector<float> Embedding(std::span<const TokenId> text, int size);

  // Tokens held in slots, over all of them. Blocks that no slot has don't count.
  int tokens_held() const;
  int steps() const { return steps_; }

 private:
  void Apply(const KvOperation& operation);
  SequenceResult Compute(const SequenceWork& work);
  // Of the last rows of what the slot holds.
  SequenceResult Logits(const SequenceWork& work);
  // Of the rows that were computed for it.
  SequenceResult Embed(const SequenceWork& work);
  // Writes the rows into the blocks of the slot; what it holds then, or an error where the blocks don't hold what the plan says.
  Result<std::vector<TokenId>> WriteBlocks(const SequenceWork& work);

  FakeEngineOptions options_;
  EngineCapabilities capabilities_;
  std::vector<std::vector<TokenId>> slots_;
  std::vector<std::vector<TokenId>> blocks_;        // with kNothing where nothing was computed
  std::vector<std::vector<BlockId>> block_tables_;  // by slot
  std::vector<std::vector<float>> outputs_;         // logits or embedding, by slot
  std::vector<std::vector<TokenId>> embedded_;      // by slot: the rows that were parts of an embedding, or completed it
  const StepPlan* plan_ = nullptr;
  int steps_ = 0;
};

}  // namespace cllm
