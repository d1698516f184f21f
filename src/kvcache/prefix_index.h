// Finds the block that holds given tokens behind a given prefix.
//
// A prefix is named by a number that its last block got when it was inserted. Numbers are never used twice, so a block that
// was evicted and filled anew can't be taken for what it was. Hashes only find candidates: the tokens are compared.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "kvcache/kv_cache.h"

namespace cllm {

using PrefixId = std::uint64_t;
inline constexpr PrefixId kEmptyPrefix = 0;

// The prefix without tokens of a root. No other prefix gets its number: they are counted from 1.
constexpr PrefixId RootPrefix(CacheRoot root) { return root == kCommonRoot ? kEmptyPrefix : root | PrefixId{1} << 63; }

class PrefixIndex {
 public:
  struct Entry {
    BlockId block = 0;
    PrefixId prefix = kEmptyPrefix;  // the one that ends with the block
  };

  // Blocks are numbered 0 … blocks - 1. Tests take bits out of the hashes to see collisions.
  explicit PrefixIndex(int blocks, std::uint64_t hash_mask = ~std::uint64_t{0});

  std::optional<Entry> Find(PrefixId before, std::span<const TokenId> tokens) const;

  // `block`, which isn't in the index, holds `tokens` behind `before`. Where another block holds the same, that one stays and
  // `block` will not be found. The prefix that ends with the tokens is returned.
  PrefixId Insert(PrefixId before, std::span<const TokenId> tokens, BlockId block);

  // Nothing happens where the block isn't in the index.
  void Erase(BlockId block);

  bool Contains(BlockId block) const { return At(block).prefix != kEmptyPrefix; }

 private:
  struct Node {
    PrefixId before = kEmptyPrefix;
    PrefixId prefix = kEmptyPrefix;  // kEmptyPrefix: not in the index
    std::vector<TokenId> tokens;
  };

  std::uint64_t Hash(PrefixId before, std::span<const TokenId> tokens) const;
  const Node& At(BlockId block) const { return nodes_.at(static_cast<std::size_t>(block)); }

  std::uint64_t hash_mask_;
  std::vector<Node> nodes_;  // by block
  std::unordered_multimap<std::uint64_t, BlockId> by_hash_;
  PrefixId last_ = kEmptyPrefix;
};

}  // namespace cllm
