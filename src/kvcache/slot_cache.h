// Which tokens lie in which slot of an engine that keeps one run of positions for each sequence (llama.cpp with a stream
// for each), and which part of a new prompt is there already.
//
// A slot is empty, in use by a running sequence, or idle: its sequence has ended and its keys and values stay for whoever
// begins with the same tokens, until the slot is needed. Running sequences share what they have computed, too: their
// prefix is copied. Tokens are compared, not hashes of them, so a match can't be wrong; and a match may end anywhere, as
// there are no blocks here.
//
// Such engines compute sequences together only where their slots are neighbours (`dense`). So what is idle makes way for
// what runs: a sequence starts beside the running ones, and a gap among them is closed.
//
// Integers only: what the engine has to do is appended to a list of operations, which run in order before the next step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace cllm {

// A copy moves a whole stream, however short the prefix, and takes about as long as computing this many tokens.
inline constexpr int kLeastTokensWorthACopy = 64;

struct SlotGrant {
  int slot = 0;
  int cached_tokens = 0;  // the first ones, whose keys and values the slot holds once the operations have run
};

struct SlotMove {
  int from = 0;
  int to = 0;
};

class SlotCache {
 public:
  struct Options {
    int slots = 1;
    bool shares_prefixes = false;  // else nothing stays of a sequence that has ended
    bool dense = false;
    int rows_after_prefix = 1;     // as the engine's capability
  };
  explicit SlotCache(const Options& options);

  // Whether a running sequence is about to compute a prefix of `tokens` that is worth the wait: longer than what there is
  // now. It ends with that sequence, so nobody waits for nobody.
  bool IsWorthWaiting(std::span<const TokenId> tokens) const;

  // A slot for a sequence that starts with `tokens` (at least one); nothing where all are in use. The last token is never
  // cached: its logits are wanted.
  std::optional<SlotGrant> Admit(std::span<const TokenId> tokens, std::vector<KvOperation>& operations);

  // The sequence in `slot` has computed further tokens.
  void Append(int slot, std::span<const TokenId> tokens);

  // The sequence in `slot` has ended. Without `keep` its keys and values can't be used.
  void Release(int slot, bool keep, std::vector<KvOperation>& operations);

  // The running sequence in the last slot and the first gap before it; nothing where there is none, or if gaps do no harm.
  std::optional<SlotMove> GapToClose() const;
  void Close(const SlotMove& gap, std::vector<KvOperation>& operations);

  // Drops what is idle, such as after the engine has lost it.
  void DropIdle(std::vector<KvOperation>& operations);

  int in_use() const { return in_use_; }
  // Tokens in idle slots.
  std::int64_t idle_tokens() const;
  // The tokens that a slot in use has computed.
  std::span<const TokenId> computed(int slot) const { return slots_.at(static_cast<std::size_t>(slot)).tokens; }

  // Aborts with a message where the books don't agree.
  void CheckInvariants() const;

 private:
  enum class Use : std::uint8_t { kEmpty, kRunning, kIdle };
  struct Slot {
    Use use = Use::kEmpty;
    std::vector<TokenId> tokens;    // computed
    std::vector<TokenId> expected;  // running: what it was admitted with and will compute
    std::uint64_t used_at = 0;      // by turns of the clock
  };
  struct Match {
    int slot = -1;
    int tokens = 0;
  };

  int CommonPrefix(std::span<const TokenId> tokens, std::span<const TokenId> held) const;
  Match BestMatch(std::span<const TokenId> tokens) const;
  int ChooseSlot(const Match& match) const;
  int BesideRunning(const Match& match) const;
  // The least recently used idle slot that is none of these two; -1.
  int LeastRecentlyUsed(int but, int but_also) const;
  int FirstEmpty() const;
  void MakeRoom(int slot, int source, std::vector<KvOperation>& operations);
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
