// Which tokens lie in which blocks of an engine that keeps keys and values in one pool ("Efficient Memory Management for Large
// Language Model Serving with PagedAttention", Kwon et al., 2023, section 4), and which part of a new prompt is there already.
//
// Full blocks are shared, by running sequences too: they are published as soon as they are computed. A block that is not full
// belongs to one sequence. Where a sequence has to write into a shared block, because the last token of its prompt is computed
// in any case, it gets a copy.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvcache/block_pool.h"
#include "kvcache/kv_cache.h"

namespace cllm {

class BlockCache : public KvCache {
 public:
  struct Options {
    int slots = 1;  // sequences that run at a time
    int blocks = 1;
    int block_tokens = 1;
    bool shares_prefixes = true;  // else a block has one user, and nothing stays of a sequence that has ended
    int rows_after_prefix = 1;    // as the engine's capability
  };
  explicit BlockCache(const Options& options);

  bool IsWorthWaiting(const RootedTokens& prompt) const override;
  bool HasRoom(const RootedTokens& prompt, int most_tokens) const override;
  std::optional<SlotGrant> Admit(const RootedTokens& prompt, std::vector<KvOperation>& operations) override;
  std::optional<SlotGrant> AdmitAnew(const RootedTokens& prompt, std::vector<KvOperation>& operations) override;
  bool Reserve(int slot, int rows) override;
  void TakeNewBlocks(int slot, std::vector<BlockId>& blocks) override;
  void Append(int slot, std::span<const TokenId> tokens) override;
  void Release(int slot, bool keep, std::vector<KvOperation>& operations) override;
  PreemptionCost CostOfRelease(int slot) const override;
  std::optional<SlotMove> GapToClose() const override { return std::nullopt; }
  void Close(const SlotMove& /*gap*/, std::vector<KvOperation>& /*operations*/) override {}

  int in_use() const override { return in_use_; }
  std::int64_t idle_tokens() const override { return std::int64_t{pool_.idle()} * options_.block_tokens; }
  std::span<const TokenId> computed(int slot) const override { return At(slot).tokens; }
  void CheckInvariants() const override;

 private:
  struct Slot {
    bool runs = false;
    CacheRoot root = kCommonRoot;
    std::vector<BlockId> blocks;
    std::size_t told = 0;            // blocks that the engine knows
    std::vector<TokenId> tokens;     // computed
    std::vector<TokenId> expected;   // what it was admitted with and will compute
    int published = 0;               // blocks
    PrefixId prefix = kEmptyPrefix;  // that ends with the last published one
  };
  // What there is of a prompt.
  struct Match {
    std::vector<PrefixIndex::Entry> whole;  // blocks that are used as they are
    std::optional<BlockId> partial;         // one more, of which the last tokens are computed anew
    int tokens = 0;
  };

  int BlocksFor(int tokens) const { return (tokens + options_.block_tokens - 1) / options_.block_tokens; }
  int MostCached(std::span<const TokenId> tokens) const;
  Match Find(const RootedTokens& prompt) const;
  bool HasRoomBehind(const Match& match, int most_tokens) const;
  std::optional<SlotGrant> Start(const RootedTokens& prompt, const Match& match, std::vector<KvOperation>& operations);
  int FreeSlot() const;
  void AddBlock(Slot& slot);
  Slot& At(int slot) { return slots_.at(static_cast<std::size_t>(slot)); }
  const Slot& At(int slot) const { return slots_.at(static_cast<std::size_t>(slot)); }

  Options options_;
  BlockPool pool_;
  std::vector<Slot> slots_;
  int in_use_ = 0;
};

}  // namespace cllm
