#include "kvcache/block_cache.h"

#include <algorithm>
#include <ranges>

#include "base/invariant.h"

namespace cllm {

BlockCache::BlockCache(const Options& options)
    : options_(options), pool_(options.blocks), slots_(static_cast<std::size_t>(options.slots)) {}

int BlockCache::MostCached(std::span<const TokenId> tokens) const {
  const int size = static_cast<int>(tokens.size());
  return size - (size < options_.rows_after_prefix ? 1 : options_.rows_after_prefix);
}

BlockCache::Match BlockCache::Find(const RootedTokens& prompt) const {
  const std::span<const TokenId> tokens = prompt.tokens;
  Match match;
  if (!options_.shares_prefixes) return match;
  const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
  const int most = MostCached(tokens);
  PrefixId prefix = RootPrefix(prompt.root);
  for (std::size_t first = 0; first + block_tokens <= tokens.size() && match.tokens < most; first += block_tokens) {
    const auto entry = pool_.index().Find(prefix, tokens.subspan(first, block_tokens));
    if (!entry) break;
    prefix = entry->prefix;
    const int left = most - match.tokens;
    if (left < options_.block_tokens) {
      match.partial = entry->block;
      match.tokens = most;
    } else {
      match.whole.push_back(*entry);
      match.tokens += options_.block_tokens;
    }
  }
  return match;
}

bool BlockCache::IsWorthWaiting(const RootedTokens& prompt) const {
  if (!options_.shares_prefixes) return false;
  int later = 0;
  for (const Slot& slot : slots_) {
    // A sequence that has computed its prompt computes nothing more that another one could know beforehand.
    if (!slot.runs || slot.root != prompt.root || slot.tokens.size() == slot.expected.size()) continue;
    const auto shared = std::ranges::mismatch(prompt.tokens, slot.expected).in1 - prompt.tokens.begin();
    later = std::max(later, static_cast<int>(shared) / options_.block_tokens * options_.block_tokens);
  }
  return later > 0 && std::min(later, MostCached(prompt.tokens)) > Find(prompt).tokens;
}

bool BlockCache::HasRoom(const RootedTokens& prompt, int most_tokens) const {
  return FreeSlot() >= 0 && HasRoomBehind(Find(prompt), most_tokens);
}

// Blocks of the match that are idle are available now and will not be then.
bool BlockCache::HasRoomBehind(const Match& match, int most_tokens) const {
  const auto is_idle = [this](BlockId block) { return pool_.users(block) == 0; };
  auto blocks = match.whole | std::views::transform(&PrefixIndex::Entry::block);
  int taken = static_cast<int>(std::ranges::count_if(blocks, is_idle));
  int needed = BlocksFor(most_tokens) - static_cast<int>(match.whole.size());
  if (match.partial && is_idle(*match.partial)) {
    ++taken;
    --needed;
  }
  return pool_.available() - taken >= needed;
}

int BlockCache::FreeSlot() const {
  const auto found = std::ranges::find(slots_, false, &Slot::runs);
  return found == slots_.end() ? -1 : static_cast<int>(found - slots_.begin());
}

void BlockCache::AddBlock(Slot& slot) {
  const auto block = pool_.Allocate();
  CheckInvariant(block.has_value(), "there are as many blocks as were counted");
  slot.blocks.push_back(*block);
}

std::optional<SlotGrant> BlockCache::Admit(const RootedTokens& prompt, std::vector<KvOperation>& operations) {
  return Start(prompt, Find(prompt), operations);
}

std::optional<SlotGrant> BlockCache::AdmitAnew(const RootedTokens& prompt, std::vector<KvOperation>& operations) {
  return Start(prompt, {}, operations);
}

std::optional<SlotGrant> BlockCache::Start(const RootedTokens& prompt, const Match& match, std::vector<KvOperation>& operations) {
  const std::span<const TokenId> tokens = prompt.tokens;
  CheckInvariant(!tokens.empty(), "a sequence has a token");
  const int size = static_cast<int>(tokens.size());
  const int number = FreeSlot();
  if (number < 0 || !HasRoomBehind(match, size)) return std::nullopt;
  Slot& slot = At(number);
  slot.runs = true;
  slot.root = prompt.root;
  slot.prefix = RootPrefix(prompt.root);
  slot.tokens.assign(tokens.begin(), tokens.begin() + match.tokens);
  slot.expected.assign(tokens.begin(), tokens.end());
  for (const PrefixIndex::Entry& entry : match.whole) {
    pool_.Use(entry.block);
    slot.blocks.push_back(entry.block);
    slot.prefix = entry.prefix;
  }
  slot.published = static_cast<int>(match.whole.size());
  if (match.partial && pool_.users(*match.partial) == 0) {
    // Nobody reads it: it can be written into, and is published again when it is full.
    pool_.Use(*match.partial);
    pool_.index().Erase(*match.partial);
    slot.blocks.push_back(*match.partial);
  } else if (match.partial) {
    AddBlock(slot);
    operations.push_back({.kind = KvOperation::Kind::kCopyBlock, .block = *match.partial, .target_block = slot.blocks.back()});
  }
  while (static_cast<int>(slot.blocks.size()) < BlocksFor(size)) AddBlock(slot);
  ++in_use_;
  return SlotGrant{.slot = number, .cached_tokens = match.tokens};
}

bool BlockCache::Reserve(int slot, int rows) {
  Slot& reserving = At(slot);
  const int missing = BlocksFor(static_cast<int>(reserving.tokens.size()) + rows) - static_cast<int>(reserving.blocks.size());
  if (missing > pool_.available()) return false;
  for (int i = 0; i < missing; ++i) AddBlock(reserving);
  return true;
}

void BlockCache::TakeNewBlocks(int slot, std::vector<BlockId>& blocks) {
  Slot& taken = At(slot);
  blocks.insert(blocks.end(), taken.blocks.begin() + static_cast<std::ptrdiff_t>(taken.told), taken.blocks.end());
  taken.told = taken.blocks.size();
}

void BlockCache::Append(int slot, std::span<const TokenId> tokens) {
  Slot& grown = At(slot);
  CheckInvariant(grown.runs, "only a running sequence computes");
  grown.tokens.insert(grown.tokens.end(), tokens.begin(), tokens.end());
  if (!options_.shares_prefixes) return;
  const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
  while ((static_cast<std::size_t>(grown.published) + 1) * block_tokens <= grown.tokens.size()) {
    const auto block = static_cast<std::size_t>(grown.published++);
    const auto content = std::span<const TokenId>(grown.tokens).subspan(block * block_tokens, block_tokens);
    grown.prefix = pool_.index().Insert(grown.prefix, content, grown.blocks.at(block));
  }
}

// From the back: the end of a prefix is of no use without its beginning, so it has to go first.
void BlockCache::Release(int slot, bool keep, std::vector<KvOperation>& operations) {
  Slot& released = At(slot);
  CheckInvariant(released.runs, "only a running sequence ends");
  for (const BlockId block : std::views::reverse(released.blocks)) pool_.Release(block, keep);
  released = {};
  --in_use_;
  operations.push_back({.kind = KvOperation::Kind::kDrop, .slot = slot});
}

PreemptionCost BlockCache::CostOfRelease(int slot) const {
  const Slot& asked = At(slot);
  const auto freed = std::ranges::count_if(asked.blocks, [this](BlockId block) { return pool_.users(block) == 1; });
  return {.freed_blocks = static_cast<int>(freed),
          .lost_tokens = static_cast<int>(asked.tokens.size()) - asked.published * options_.block_tokens};
}

void BlockCache::CheckInvariants() const {
  pool_.CheckInvariants();
  std::vector<int> users(static_cast<std::size_t>(pool_.size()), 0);
  int running = 0;
  for (const Slot& slot : slots_) {
    if (slot.runs) ++running;
    CheckInvariant(slot.runs || slot.blocks.empty(), "a free slot holds nothing");
    CheckInvariant(static_cast<int>(slot.blocks.size()) >= BlocksFor(static_cast<int>(slot.tokens.size())),
                   "what is computed lies in blocks");
    CheckInvariant(slot.told <= slot.blocks.size(), "the engine knows no blocks that are not there");
    CheckInvariant(slot.published * options_.block_tokens <= static_cast<int>(slot.tokens.size()), "only full blocks are published");
    for (const BlockId block : slot.blocks) ++users.at(static_cast<std::size_t>(block));
  }
  CheckInvariant(running == in_use_, "the slots in use are counted");
  for (BlockId block = 0; block < pool_.size(); ++block) {
    CheckInvariant(users[static_cast<std::size_t>(block)] == pool_.users(block), "a block has as many users as it counts");
  }
}

}  // namespace cllm
