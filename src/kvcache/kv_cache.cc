#include "kvcache/kv_cache.h"

#include <utility>

#include "base/invariant.h"
#include "kvcache/block_cache.h"
#include "kvcache/slot_cache.h"

namespace cllm {

std::unique_ptr<KvCache> MakeKvCache(const EngineCapabilities& engine, bool shares_prefixes, KvCosts costs) {
  if (engine.kv_block_tokens > 0) {
    CheckInvariant(std::int64_t{engine.kv_blocks} * engine.kv_block_tokens >= engine.max_context,
                   "the pool holds at least one sequence of full length");
    return std::make_unique<BlockCache>(BlockCache::Options{.slots = engine.max_sequences,
                                                            .blocks = engine.kv_blocks,
                                                            .block_tokens = engine.kv_block_tokens,
                                                            .shares_prefixes = shares_prefixes,
                                                            .rows_after_prefix = engine.rows_after_prefix});
  }
  const bool can_share = engine.can_copy_sequences && engine.can_trim_sequences;
  return std::make_unique<SlotCache>(SlotCache::Options{.slots = engine.max_sequences,
                                                        .shares_prefixes = shares_prefixes && can_share,
                                                        .dense = engine.prefers_dense_slots && engine.can_copy_sequences,
                                                        .rows_after_prefix = engine.rows_after_prefix,
                                                        .whole_slot = engine.copies_whole_slots ? engine.max_context : 0,
                                                        .costs = std::move(costs)});
}

}  // namespace cllm
