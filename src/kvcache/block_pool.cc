#include "kvcache/block_pool.h"

#include <algorithm>

#include "base/invariant.h"

namespace cllm {

BlockPool::BlockPool(int blocks) : blocks_(static_cast<std::size_t>(blocks)), index_(blocks) {
  // From the back, so that the lowest numbers are given first.
  for (BlockId block = blocks - 1; block >= 0; --block) free_.push_back(block);
}

std::optional<BlockId> BlockPool::Allocate() {
  BlockId block = 0;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else if (!idle_.empty()) {
    block = idle_.front();
    idle_.pop_front();
    At(block).idle.reset();
    index_.Erase(block);
  } else {
    return std::nullopt;
  }
  At(block).users = 1;
  return block;
}

void BlockPool::Use(BlockId block) {
  Block& used = At(block);
  CheckInvariant(used.users > 0 || used.idle, "a free block holds nothing that could be used");
  ++used.users;
  if (!used.idle) return;
  idle_.erase(*used.idle);
  used.idle.reset();
}

void BlockPool::Release(BlockId block, bool keep) {
  Block& released = At(block);
  CheckInvariant(released.users > 0, "only a user releases a block");
  if (--released.users > 0) return;
  if (keep && index_.Contains(block)) {
    released.idle = idle_.insert(idle_.end(), block);
  } else {
    index_.Erase(block);
    free_.push_back(block);
  }
}

void BlockPool::CheckInvariants() const {
  const auto in_use = std::ranges::count_if(blocks_, [](const Block& block) { return block.users > 0; });
  CheckInvariant(static_cast<int>(in_use) + available() == size(), "a block is in use, idle or free");
  for (const BlockId block : idle_) {
    CheckInvariant(users(block) == 0 && index_.Contains(block), "an idle block has no user and can be found");
  }
  for (const BlockId block : free_) {
    CheckInvariant(users(block) == 0 && !index_.Contains(block), "a free block has no user and can't be found");
  }
}

}  // namespace cllm
