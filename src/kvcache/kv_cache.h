// What the scheduler asks of a cache of keys and values, however an engine lays them out: a slot for each running sequence
// (SlotCache) or blocks of one pool (BlockCache).
//
// Integers only: what the engine has to do is appended to a list of operations, which run in order before the next step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace cllm {

struct SlotGrant {
  int slot = 0;
  int cached_tokens = 0;  // the first ones, whose keys and values the slot holds once the operations have run
};

struct SlotMove {
  int from = 0;
  int to = 0;
};

// Whose keys and values they are: those of one root are never used for another's. Numbers are never used twice for two owners.
using CacheRoot = std::uint64_t;
inline constexpr CacheRoot kCommonRoot = 0;

// The first tokens of a sequence, and the root below which they are shared.
struct RootedTokens {
  // Each use says below which root: one that forgets it would share with everybody.
  RootedTokens(std::span<const TokenId> the_tokens, CacheRoot the_root) : tokens(the_tokens), root(the_root) {}

  std::span<const TokenId> tokens;
  CacheRoot root;
};

// What there is to win and to lose where a running sequence gives way.
struct PreemptionCost {
  int freed_blocks = 0;  // that nobody else uses
  int lost_tokens = 0;   // computed ones that no later sequence could find
};

// What it takes to get keys and values, in any unit of time. Here a token is the unit, wherever it stands; a scheduler that has seen
// steps knows better.
struct KvCosts {
  // Of computing the tokens from `from` to before `to` of a sequence, in a step that has other work, too; rises with both ends.
  std::function<double(int from, int to)> compute = [](int from, int to) { return static_cast<double>(to - from); };
  // Of one more step, which a sequence waits for, and in which another one has `rows` of its prompt to compute, as far as they fit.
  std::function<double(int rows)> step = [](int rows) { return 64.0 + std::min(rows, 512); };
};

class KvCache {
 public:
  virtual ~KvCache() = default;

  // Whether a running sequence is about to compute a prefix of `prompt` that is worth the wait: longer than what there is
  // now. It ends with that sequence, so nobody waits for nobody.
  virtual bool IsWorthWaiting(const RootedTokens& prompt) const = 0;

  // Whether a sequence that starts with `prompt` and will have `most_tokens` in all can be held now.
  virtual bool HasRoom(const RootedTokens& prompt, int most_tokens) const = 0;

  // A slot for a sequence that starts with `prompt` (at least one), with room for them; nothing where there is none. The last
  // token is never cached: its logits are wanted.
  virtual std::optional<SlotGrant> Admit(const RootedTokens& prompt, std::vector<KvOperation>& operations) = 0;

  // The same for one that has to compute all of its tokens. It finds room where HasRoom says so for no tokens.
  virtual std::optional<SlotGrant> AdmitAnew(const RootedTokens& prompt, std::vector<KvOperation>& operations) = 0;

  // Room for `rows` tokens behind those that the slot's sequence has computed. False where there is none: then nothing
  // changes, and a running sequence has to give way.
  virtual bool Reserve(int slot, int rows) = 0;

  // Appends the blocks that the slot got since the last call; the engine learns them with the sequence's next rows.
  virtual void TakeNewBlocks(int slot, std::vector<BlockId>& blocks) = 0;

  // The sequence in `slot` has computed further tokens, for which there was room.
  virtual void Append(int slot, std::span<const TokenId> tokens) = 0;

  // The sequence in `slot` has ended or gives way. Without `keep` its keys and values can't be used.
  virtual void Release(int slot, bool keep, std::vector<KvOperation>& operations) = 0;

  // What a release of the slot would mean. Only where Reserve can fail.
  virtual PreemptionCost CostOfRelease(int slot) const = 0;

  // The running sequence in the last slot and the first gap before it; nothing where there is none, or if gaps do no harm.
  virtual std::optional<SlotMove> GapToClose() const = 0;
  virtual void Close(const SlotMove& gap, std::vector<KvOperation>& operations) = 0;

  // Slots in use.
  virtual int in_use() const = 0;
  // Tokens that are kept for sequences to come.
  virtual std::int64_t idle_tokens() const = 0;
  // The tokens that a slot in use has computed.
  virtual std::span<const TokenId> computed(int slot) const = 0;

  // Aborts with a message where the books don't agree.
  virtual void CheckInvariants() const = 0;
};

// The cache for the way in which an engine keeps keys and values. Without `shares_prefixes`, or where the engine can't, nothing
// stays of a sequence that has ended.
std::unique_ptr<KvCache> MakeKvCache(const EngineCapabilities& engine, bool shares_prefixes, KvCosts costs = {});

}  // namespace cllm
