#include "kvcache/slot_cache.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/invariant.h"

namespace cllm {
namespace {

// A copied cell costs as much as this part of a token that is computed early in a context, and a copy has costs of its own, in tokens.
constexpr double kCellsCopiedPerToken = 64;
constexpr double kTokensPerCopy = 4;
constexpr int kEarlyTokens = 64;

std::size_t SharedLength(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

SlotCache::SlotCache(Options options) : options_(std::move(options)), slots_(static_cast<std::size_t>(options_.slots)) {}

int SlotCache::CommonPrefix(const RootedTokens& prompt, const Slot& slot, std::span<const TokenId> held) const {
  if (slot.root != prompt.root) return 0;
  const std::span<const TokenId> tokens = prompt.tokens;
  const auto rows = static_cast<std::size_t>(options_.rows_after_prefix);
  return static_cast<int>(SharedLength(tokens.first(tokens.size() - (tokens.size() < rows ? 1 : rows)), held));
}

std::vector<int> SlotCache::Matches(const RootedTokens& prompt) const {
  std::vector<int> matches(slots_.size(), 0);
  if (!options_.shares_prefixes) return matches;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) matches[slot] = CommonPrefix(prompt, slots_[slot], slots_[slot].tokens);
  return matches;
}

// In lexicographical order of root and tokens the longest common prefix is a neighbour's.
std::vector<int> SlotCache::SharedTokens() const {
  std::vector<std::size_t> order(slots_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [this](std::size_t slot) { return std::tie(slots_[slot].root, slots_[slot].tokens); });
  std::vector<int> shared(slots_.size(), 0);
  for (std::size_t i = 1; i < order.size(); ++i) {
    const Slot& before = slots_[order[i - 1]];
    const Slot& slot = slots_[order[i]];
    const auto length = before.root == slot.root ? static_cast<int>(SharedLength(before.tokens, slot.tokens)) : 0;
    shared[order[i - 1]] = std::max(shared[order[i - 1]], length);
    shared[order[i]] = length;
  }
  return shared;
}

double SlotCache::PriceOfRest(std::span<const TokenId> tokens, int cached) const {
  return options_.costs.compute(cached, static_cast<int>(tokens.size()));
}

double SlotCache::PriceOfCopy(int tokens) const {
  const double cells = options_.whole_slot > 0 ? options_.whole_slot : tokens;
  return (kTokensPerCopy + cells / kCellsCopiedPerToken) * options_.costs.compute(0, kEarlyTokens) / kEarlyTokens;
}

// Somebody goes on from what has just ended in one of four cases, and ever less likely as others come: where the times between two uses
// follow a power law, the chance that the next moment brings one falls as one over the age.
double SlotCache::PriceOfLoss(int slot, int kept) const {
  const Slot& lost = At(slot);
  const auto size = static_cast<int>(lost.tokens.size());
  if (kept >= size) return 0;
  const double age = static_cast<double>(clock_ - lost.used_at) / 2;  // in requests: each begins and ends
  return options_.costs.compute(kept, size) / (4 + age);
}

bool SlotCache::IsWorthWaiting(const RootedTokens& prompt) const {
  if (!options_.shares_prefixes || in_use_ == 0) return false;
  int later = 0;
  int leader = -1;
  for (int slot = 0; slot < count(); ++slot) {
    // A sequence that has computed its prompt computes nothing more that another one could know beforehand.
    if (At(slot).use != Use::kRunning || At(slot).tokens.size() >= At(slot).expected.size()) continue;
    const int shared = CommonPrefix(prompt, At(slot), At(slot).expected);
    if (shared > later) std::tie(later, leader) = std::pair(shared, slot);
  }
  const std::span<const TokenId> tokens = prompt.tokens;
  const std::vector<int> matches = Matches(prompt);
  if (later <= std::ranges::max(matches)) return false;
  // Compared with what there is without the leader: who waits for it waits until all that they share is there.
  double without = PriceOfRest(tokens, 0);
  for (int slot = 0; slot < count(); ++slot) {
    const int cached = matches[static_cast<std::size_t>(slot)];
    if (slot == leader || cached == 0) continue;
    without = std::min(without, PriceOfRest(tokens, cached) + (At(slot).use == Use::kRunning ? PriceOfCopy(cached) : 0));
  }
  // Who waits takes part in a step later, beside what the leader has left to compute then.
  const double step = options_.costs.step(static_cast<int>(At(leader).expected.size()) - later);
  return PriceOfRest(tokens, later) + PriceOfCopy(later) + step < without;
}

std::optional<SlotGrant> SlotCache::Admit(const RootedTokens& prompt, std::vector<KvOperation>& operations) {
  return Start(prompt, Matches(prompt), operations);
}

std::optional<SlotGrant> SlotCache::AdmitAnew(const RootedTokens& prompt, std::vector<KvOperation>& operations) {
  return Start(prompt, std::vector<int>(slots_.size(), 0), operations);
}

std::optional<SlotGrant> SlotCache::Start(const RootedTokens& prompt, const std::vector<int>& matches,
                                          std::vector<KvOperation>& operations) {
  const std::span<const TokenId> tokens = prompt.tokens;
  CheckInvariant(!tokens.empty(), "a sequence has a token");
  if (in_use_ == count()) return std::nullopt;
  const Way way = BestWay(tokens, matches);
  Slot& granted = At(way.slot);
  if (way.source == way.slot) {
    granted.tokens.resize(static_cast<std::size_t>(way.cached));
    operations.push_back({.kind = KvOperation::Kind::kTrim, .slot = way.slot, .tokens = way.cached});
  } else {
    MakeRoom(way.slot, way.refuge, operations);
  }
  if (way.source >= 0 && way.source != way.slot) {
    granted.tokens.assign(tokens.begin(), tokens.begin() + way.cached);
    At(way.source).used_at = clock_ + 1;
    operations.push_back({.kind = KvOperation::Kind::kCopy, .slot = way.source, .target_slot = way.slot, .tokens = way.cached});
  }
  granted.use = Use::kRunning;
  granted.root = prompt.root;
  granted.expected.assign(tokens.begin(), tokens.end());
  granted.used_at = ++clock_;
  ++in_use_;
  return SlotGrant{.slot = way.slot, .cached_tokens = way.cached};
}

SlotCache::Way SlotCache::BestWay(std::span<const TokenId> tokens, const std::vector<int>& matches) const {
  const std::vector<int> shared = SharedTokens();
  Way best;
  // Where two cost the same, the one that computes less.
  const auto offer = [&best](const Way& way) {
    const bool is_better = way.price < best.price || (way.price == best.price && way.cached > best.cached);
    if (best.slot < 0 || is_better) best = way;
  };
  for (const int slot : Places()) {
    const auto index = static_cast<std::size_t>(slot);
    const int kept = std::max(shared[index], matches[index]);
    if (matches[index] > 0) {
      const double price = PriceOfRest(tokens, matches[index]) + PriceOfLoss(slot, kept);
      offer({.slot = slot, .source = slot, .cached = matches[index], .price = price});
    }
    Way behind = BestCopy(tokens, matches, slot);
    const Refuge refuge = FindRefuge(slot, behind.source, shared, kept);
    behind.refuge = refuge.slot;
    behind.price += refuge.price;
    offer(behind);
  }
  return best;
}

// Into `slot`; from nothing where that is cheaper.
SlotCache::Way SlotCache::BestCopy(std::span<const TokenId> tokens, const std::vector<int>& matches, int slot) const {
  const auto has_more = [&matches](int a, int b) { return matches[static_cast<std::size_t>(a)] < matches[static_cast<std::size_t>(b)]; };
  int source = slot == 0 ? count() - 1 : 0;
  for (int other = 0; other < count(); ++other) {
    if (other != slot && has_more(source, other)) source = other;
  }
  const int cached = source == slot ? 0 : matches[static_cast<std::size_t>(source)];
  const double from_nothing = PriceOfRest(tokens, 0);
  const double copied = cached > 0 ? PriceOfRest(tokens, cached) + PriceOfCopy(cached) : from_nothing;
  if (copied >= from_nothing) return {.slot = slot, .price = from_nothing};
  return {.slot = slot, .source = source, .cached = cached, .price = copied};
}

std::vector<int> SlotCache::Places() const {
  if (options_.dense && in_use_ > 0) return BesideRunning();
  std::vector<int> places;
  for (int slot = 0; slot < count(); ++slot) {
    if (At(slot).use != Use::kRunning) places.push_back(slot);
  }
  return places;
}

// The first gap among the running ones, or both ends.
std::vector<int> SlotCache::BesideRunning() const {
  const auto is_running = [](const Slot& slot) { return slot.use == Use::kRunning; };
  const int first = static_cast<int>(std::ranges::find_if(slots_, is_running) - slots_.begin());
  int last = count() - 1;
  while (!is_running(At(last))) --last;
  for (int slot = first; slot < last; ++slot) {
    if (!is_running(At(slot))) return {slot};
  }
  std::vector<int> ends;
  if (last + 1 < count()) ends.push_back(last + 1);
  if (first > 0) ends.push_back(first - 1);
  return ends;
}

SlotCache::Refuge SlotCache::FindRefuge(int slot, int source, const std::vector<int>& shared, int kept) const {
  if (At(slot).use == Use::kEmpty) return {};
  Refuge best{.slot = -1, .price = PriceOfLoss(slot, kept)};
  // Else every slot is a place to start in, and the one with the least to lose is taken.
  if (!options_.dense || in_use_ == 0) return best;
  const double price_of_move = PriceOfCopy(static_cast<int>(At(slot).tokens.size()));
  for (int other = 0; other < count(); ++other) {
    if (other == slot || other == source || At(other).use == Use::kRunning) continue;
    const double price = price_of_move + PriceOfLoss(other, shared[static_cast<std::size_t>(other)]);
    if (price < best.price) best = {.slot = other, .price = price};
  }
  return best;
}

// Empties a slot that does not run.
void SlotCache::MakeRoom(int slot, int refuge, std::vector<KvOperation>& operations) {
  if (At(slot).use == Use::kEmpty) return;
  if (refuge < 0) return Drop(slot, operations);
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
  const std::vector<int> shared = SharedTokens();
  const Refuge refuge = FindRefuge(gap.to, gap.from, shared, shared[static_cast<std::size_t>(gap.to)]);
  MakeRoom(gap.to, refuge.slot, operations);
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
