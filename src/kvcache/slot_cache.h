// Which tokens lie in which slot of an engine that keeps one run of positions for each sequence (llama.cpp with a stream
// for each), and which part of a new prompt is there already.
//
// A slot is empty, in use by a running sequence, or idle: its sequence has ended and its keys and values stay for whoever
// begins with the same tokens, until the slot is needed. Running sequences share what they have computed, too: their
// prefix is copied. Tokens are compared, not hashes of them, so a match can't be wrong; and a match may end anywhere, as
// there are no blocks here.
//
// A new sequence can go into each slot that doesn't run: behind what it shares with the tokens there, behind a copy of what it shares
// with another slot, or from nothing. Each way has a price: what is left to compute, the copy, and what is destroyed, in which tokens
// count that no other slot holds and the less the longer nobody has used them. The cheapest way is taken.
//
// Some such engines compute sequences together only where their slots are neighbours (`dense`). There what is idle makes way for
// what runs: a sequence starts beside the running ones, and a gap among them is closed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvcache/kv_cache.h"

namespace cllm {

class SlotCache : public KvCache {
 public:
  struct Options {
    int slots = 1;
    bool shares_prefixes = false;  // else nothing stays of a sequence that has ended
    bool dense = false;
    int rows_after_prefix = 1;  // as the engine's capability
    int whole_slot = 0;         // cells that each copy takes, where the engine can't copy a prefix alone
    KvCosts costs = {};
  };
  explicit SlotCache(Options options);

  bool IsWorthWaiting(const RootedTokens& prompt) const override;
  bool HasRoom(const RootedTokens& /*prompt*/, int /*most_tokens*/) const override { return in_use_ < count(); }
  std::optional<SlotGrant> Admit(const RootedTokens& prompt, std::vector<KvOperation>& operations) override;
  std::optional<SlotGrant> AdmitAnew(const RootedTokens& prompt, std::vector<KvOperation>& operations) override;
  bool Reserve(int /*slot*/, int /*rows*/) override { return true; }
  void TakeNewBlocks(int /*slot*/, std::vector<BlockId>& /*blocks*/) override {}
  void Append(int slot, std::span<const TokenId> tokens) override;
  void Release(int slot, bool keep, std::vector<KvOperation>& operations) override;
  PreemptionCost CostOfRelease(int /*slot*/) const override { return {}; }
  std::optional<SlotMove> GapToClose() const override;
  void Close(const SlotMove& gap, std::vector<KvOperation>& operations) override;

  int in_use() const override { return in_use_; }
  std::int64_t idle_tokens() const override;
  std::span<const TokenId> computed(int slot) const override { return slots_.at(static_cast<std::size_t>(slot)).tokens; }
  void CheckInvariants() const override;

 private:
  enum class Use : std::uint8_t { kEmpty, kRunning, kIdle };
  struct Slot {
    Use use = Use::kEmpty;
    CacheRoot root = kCommonRoot;
    std::vector<TokenId> tokens;    // computed
    std::vector<TokenId> expected;  // running: what it was admitted with and will compute
    std::uint64_t used_at = 0;      // by turns of the clock
  };
  // One way to begin a sequence.
  struct Way {
    int slot = -1;    // where it goes
    int source = -1;  // what holds its first tokens: the slot itself, one that is copied, or -1 for none
    int cached = 0;   // tokens that it gets from there
    int refuge = -1;  // where what lay in the slot moves; -1: it is cut or dropped
    double price = 0;
  };
  // Where what is idle in a slot moves, -1 where it is cheaper to lose it.
  struct Refuge {
    int slot = -1;
    double price = 0;
  };

  // How many first tokens a prompt shares with `held` of a slot, without those that are computed anyway.
  int CommonPrefix(const RootedTokens& prompt, const Slot& slot, std::span<const TokenId> held) const;
  // How many first tokens each slot holds; none where prefixes aren't shared.
  std::vector<int> Matches(const RootedTokens& prompt) const;
  // How many first tokens of each slot another one holds, too.
  std::vector<int> SharedTokens() const;

  double PriceOfRest(std::span<const TokenId> tokens, int cached) const;
  double PriceOfCopy(int tokens) const;
  // Of losing what an idle slot holds beyond its first `kept` tokens.
  double PriceOfLoss(int slot, int kept) const;

  std::optional<SlotGrant> Start(const RootedTokens& prompt, const std::vector<int>& matches, std::vector<KvOperation>& operations);
  // `matches`: how many first tokens it may have of each slot.
  Way BestWay(std::span<const TokenId> tokens, const std::vector<int>& matches) const;
  Way BestCopy(std::span<const TokenId> tokens, const std::vector<int>& matches, int slot) const;
  // Slots in which a sequence may start.
  std::vector<int> Places() const;
  std::vector<int> BesideRunning() const;
  // For what lies in `slot`, of which the first `kept` tokens aren't lost in any case. The refuge isn't `source`.
  Refuge FindRefuge(int slot, int source, const std::vector<int>& shared, int kept) const;
  void MakeRoom(int slot, int refuge, std::vector<KvOperation>& operations);
  void Drop(int slot, std::vector<KvOperation>& operations);
  void MoveTokens(int from, int to, std::vector<KvOperation>& operations);
  Slot& At(int slot) { return slots_.at(static_cast<std::size_t>(slot)); }
  const Slot& At(int slot) const { return slots_.at(static_cast<std::size_t>(slot)); }
  int count() const { return static_cast<int>(slots_.size()); }

  Options options_;
  std::vector<Slot> slots_;
  int in_use_ = 0;
  std::uint64_t clock_ = 0;
};

}  // namespace cllm
