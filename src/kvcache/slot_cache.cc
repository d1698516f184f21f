#include "kvcache/slot_cache.h"

#include <algorithm>
#include <utility>

#include "base/invariant.h"

namespace cllm {

SlotCache::SlotCache(const Options& options) : options_(options), slots_(static_cast<std::size_t>(options.slots)) {}

// How many first tokens two runs share, without those of `tokens` that are computed anyway.
int SlotCache::CommonPrefix(std::span<const TokenId> tokens, std::span<const TokenId> held) const {
  const auto rows = static_cast<std::size_t>(options_.rows_after_prefix);
  const std::size_t most = std::min(tokens.size() - (tokens.size() < rows ? 1 : rows), held.size());
  const auto difference = std::mismatch(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(most), held.begin());
  return static_cast<int>(difference.first - tokens.begin());
}

SlotCache::Match SlotCache::BestMatch(std::span<const TokenId> tokens) const {
  Match best;
  if (!options_.shares_prefixes) return best;
  for (int slot = 0; slot < count(); ++slot) {
    const int shared = CommonPrefix(tokens, At(slot).tokens);
    if (shared == 0) continue;
    // Among equals an idle slot is better: it may be taken over without a copy.
    const bool better_kind = shared == best.tokens && At(slot).use == Use::kIdle && At(best.slot).use == Use::kRunning;
    if (shared > best.tokens || better_kind) best = {.slot = slot, .tokens = shared};
  }
  return best;
}

bool SlotCache::IsWorthWaiting(std::span<const TokenId> tokens) const {
  if (!options_.shares_prefixes || in_use_ == 0) return false;
  int later = 0;
  for (const Slot& slot : slots_) {
    // A sequence that has computed its prompt computes nothing more that another one could know beforehand.
    if (slot.use == Use::kRunning && slot.tokens.size() < slot.expected.size()) {
      later = std::max(later, CommonPrefix(tokens, slot.expected));
    }
  }
  return later >= kLeastTokensWorthACopy && later > BestMatch(tokens).tokens;
}

std::optional<SlotGrant> SlotCache::Admit(std::span<const TokenId> tokens, std::vector<KvOperation>& operations) {
  CheckInvariant(!tokens.empty(), "a sequence has a token");
  if (in_use_ == count()) return std::nullopt;
  Match match = BestMatch(tokens);
  const int slot = ChooseSlot(match);
  if (slot == match.slot) {
    At(slot).tokens.resize(static_cast<std::size_t>(match.tokens));
    operations.push_back({.kind = KvOperation::Kind::kTrim, .slot = slot, .tokens = match.tokens});
  } else {
    if (match.tokens < kLeastTokensWorthACopy) match = {};
    MakeRoom(slot, match.slot, operations);
    if (match.slot >= 0) {
      const std::vector<TokenId>& source = At(match.slot).tokens;
      At(slot).tokens.assign(source.begin(), source.begin() + match.tokens);
      At(match.slot).used_at = ++clock_;
      operations.push_back({.kind = KvOperation::Kind::kCopy, .slot = match.slot, .target_slot = slot, .tokens = match.tokens});
    }
  }
  Slot& granted = At(slot);
  granted.use = Use::kRunning;
  granted.expected.assign(tokens.begin(), tokens.end());
  granted.used_at = ++clock_;
  ++in_use_;
  return SlotGrant{.slot = slot, .cached_tokens = match.tokens};
}

int SlotCache::ChooseSlot(const Match& match) const {
  if (options_.dense && in_use_ > 0) return BesideRunning(match);
  if (match.slot >= 0 && At(match.slot).use == Use::kIdle) {
    // Most of what lies there is of use; else it is worth keeping beside the new sequence.
    const bool is_mostly_used = 2 * match.tokens >= static_cast<int>(At(match.slot).tokens.size());
    if (is_mostly_used) return match.slot;
  }
  if (const int empty = FirstEmpty(); empty >= 0) return empty;
  const int oldest = LeastRecentlyUsed(match.slot, match.slot);
  return oldest >= 0 ? oldest : match.slot;
}

// A gap among the running ones, or one of the two ends: the one that holds the prefix, else an empty one.
int SlotCache::BesideRunning(const Match& match) const {
  const auto is_running = [](const Slot& slot) { return slot.use == Use::kRunning; };
  const int first = static_cast<int>(std::ranges::find_if(slots_, is_running) - slots_.begin());
  int last = count() - 1;
  while (!is_running(At(last))) --last;
  for (int slot = first; slot < last; ++slot) {
    if (!is_running(At(slot))) return slot;
  }
  const int before = first - 1;
  const int after = last + 1;
  if (before < 0) return after;
  if (after == count() || before == match.slot) return before;
  return At(after).use != Use::kEmpty && after != match.slot && At(before).use == Use::kEmpty ? before : after;
}

int SlotCache::FirstEmpty() const {
  const auto found = std::ranges::find(slots_, Use::kEmpty, &Slot::use);
  return found == slots_.end() ? -1 : static_cast<int>(found - slots_.begin());
}

int SlotCache::LeastRecentlyUsed(int but, int but_also) const {
  int oldest = -1;
  for (int slot = 0; slot < count(); ++slot) {
    if (At(slot).use != Use::kIdle || slot == but || slot == but_also) continue;
    if (oldest < 0 || At(slot).used_at < At(oldest).used_at) oldest = slot;
  }
  return oldest;
}

// Empties a slot that does not run. What is idle there moves to an empty slot, or to one that nobody has used for longer.
void SlotCache::MakeRoom(int slot, int source, std::vector<KvOperation>& operations) {
  if (At(slot).use == Use::kEmpty) return;
  int refuge = FirstEmpty();
  if (refuge < 0) {
    refuge = LeastRecentlyUsed(slot, source);
    if (refuge >= 0 && At(refuge).used_at > At(slot).used_at) refuge = -1;
  }
  if (refuge < 0 || !options_.dense || static_cast<int>(At(slot).tokens.size()) < kLeastTokensWorthACopy) {
    return Drop(slot, operations);
  }
  if (At(refuge).use == Use::kIdle) Drop(refuge, operations);
  MoveTokens(slot, refuge, operations);
}

void SlotCache::Drop(int slot, std::vector<KvOperation>& operations) {
  operations.push_back({.kind = KvOperation::Kind::kDrop, .slot = slot});
  At(slot) = {};
}

void SlotCache::MoveTokens(int from, int to, std::vector<KvOperation>& operations) {
  CheckInvariant(At(to).use == Use::kEmpty, "a move goes to an empty slot");
  if (!At(from).tokens.empty()) {
    operations.push_back({.kind = KvOperation::Kind::kMove, .slot = from, .target_slot = to});
  }
  At(to) = std::exchange(At(from), {});
}

void SlotCache::Append(int slot, std::span<const TokenId> tokens) {
  CheckInvariant(At(slot).use == Use::kRunning, "only a running sequence computes");
  At(slot).tokens.insert(At(slot).tokens.end(), tokens.begin(), tokens.end());
}

void SlotCache::Release(int slot, bool keep, std::vector<KvOperation>& operations) {
  CheckInvariant(At(slot).use == Use::kRunning, "only a running sequence ends");
  --in_use_;
  if (!keep || !options_.shares_prefixes || At(slot).tokens.empty()) return Drop(slot, operations);
  At(slot).use = Use::kIdle;
  At(slot).expected.clear();
  At(slot).used_at = ++clock_;
}

std::optional<SlotMove> SlotCache::GapToClose() const {
  if (!options_.dense || in_use_ == 0) return std::nullopt;
  int last = count() - 1;
  while (At(last).use != Use::kRunning) --last;
  int slot = 0;
  while (At(slot).use != Use::kRunning) ++slot;
  while (At(slot).use == Use::kRunning && slot < last) ++slot;
  if (slot == last) return std::nullopt;
  return SlotMove{.from = last, .to = slot};
}

void SlotCache::Close(const SlotMove& gap, std::vector<KvOperation>& operations) {
  MakeRoom(gap.to, -1, operations);
  MoveTokens(gap.from, gap.to, operations);
}

std::int64_t SlotCache::idle_tokens() const {
  std::int64_t sum = 0;
  for (const Slot& slot : slots_) {
    if (slot.use == Use::kIdle) sum += static_cast<std::int64_t>(slot.tokens.size());
  }
  return sum;
}

void SlotCache::CheckInvariants() const {
  int running = 0;
  for (const Slot& slot : slots_) {
    if (slot.use == Use::kRunning) ++running;
    CheckInvariant(slot.use != Use::kEmpty || slot.tokens.empty(), "an empty slot holds nothing");
    CheckInvariant(slot.use != Use::kIdle || !slot.tokens.empty(), "an idle slot holds something");
    CheckInvariant((slot.use == Use::kRunning) == !slot.expected.empty(), "only a running sequence is expected to compute");
    CheckInvariant(slot.use != Use::kIdle || options_.shares_prefixes, "nothing is kept where nothing is shared");
  }
  CheckInvariant(running == in_use_, "the slots in use are counted");
}

}  // namespace cllm
