#include "kvcache/prefix_index.h"

#include <algorithm>

#include "base/invariant.h"

namespace cllm {

PrefixIndex::PrefixIndex(int blocks, std::uint64_t hash_mask) : hash_mask_(hash_mask), nodes_(static_cast<std::size_t>(blocks)) {}

// FNV-1a over the number of the prefix and the token ids.
std::uint64_t PrefixIndex::Hash(PrefixId before, std::span<const TokenId> tokens) const {
  constexpr std::uint64_t kOffset = 0xCBF29CE484222325;
  constexpr std::uint64_t kPrime = 0x100000001B3;
  std::uint64_t hash = (kOffset ^ before) * kPrime;
  for (const TokenId token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * kPrime;
  return hash & hash_mask_;
}

std::optional<PrefixIndex::Entry> PrefixIndex::Find(PrefixId before, std::span<const TokenId> tokens) const {
  const auto [first, last] = by_hash_.equal_range(Hash(before, tokens));
  for (auto candidate = first; candidate != last; ++candidate) {
    const Node& node = At(candidate->second);
    if (node.before == before && std::ranges::equal(node.tokens, tokens)) return Entry{candidate->second, node.prefix};
  }
  return std::nullopt;
}

PrefixId PrefixIndex::Insert(PrefixId before, std::span<const TokenId> tokens, BlockId block) {
  CheckInvariant(!Contains(block), "a block is inserted once");
  if (const auto twin = Find(before, tokens)) return twin->prefix;
  nodes_.at(static_cast<std::size_t>(block)) = {.before = before, .prefix = ++last_, .tokens = {tokens.begin(), tokens.end()}};
  by_hash_.emplace(Hash(before, tokens), block);
  return last_;
}

void PrefixIndex::Erase(BlockId block) {
  if (!Contains(block)) return;
  Node& node = nodes_.at(static_cast<std::size_t>(block));
  const auto [first, last] = by_hash_.equal_range(Hash(node.before, node.tokens));
  by_hash_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == block; }));
  node = {};
}

}  // namespace cllm
