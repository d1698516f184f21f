// The blocks of an engine's KV pool. Each is free, in use by one or more sequences, or idle: nobody uses it, and its prefix is
// kept for whoever begins with it, until the block is needed. The least recently used idle block goes first.
#pragma once

#include <list>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "kvcache/prefix_index.h"

namespace cllm {

class BlockPool {
 public:
  explicit BlockPool(int blocks);

  // A block with one user; nothing where all are in use.
  std::optional<BlockId> Allocate();

  // One user more, of a block in use or an idle one.
  void Use(BlockId block);

  // One user less. A block without users becomes idle if the index knows it and `keep` holds, else free.
  void Release(BlockId block, bool keep);

  int users(BlockId block) const { return blocks_.at(static_cast<std::size_t>(block)).users; }
  int size() const { return static_cast<int>(blocks_.size()); }
  // Blocks that Allocate can give.
  int available() const { return static_cast<int>(free_.size() + idle_.size()); }
  int idle() const { return static_cast<int>(idle_.size()); }

  // Which of the blocks hold which prefix.
  PrefixIndex& index() { return index_; }
  const PrefixIndex& index() const { return index_; }

  // Aborts with a message where the books don't agree.
  void CheckInvariants() const;

 private:
  struct Block {
    int users = 0;
    std::optional<std::list<BlockId>::iterator> idle;  // where it stands among the idle ones
  };

  Block& At(BlockId block) { return blocks_.at(static_cast<std::size_t>(block)); }

  std::vector<Block> blocks_;
  std::vector<BlockId> free_;
  std::list<BlockId> idle_;  // the least recently used first
  PrefixIndex index_;
};

}  // namespace cllm
