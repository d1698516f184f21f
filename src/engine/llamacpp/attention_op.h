// ggml's CPU backend computes attention by the kernel of this project.
#pragma once

#include <cstdint>

namespace cllm {

// From now on every GGML_OP_FLASH_ATTN_EXT that the kernel takes (keys and values in F16, no bias by position, soft cap or sinks,
// heads as in AttentionHeadsAreOurs) is computed by it; the others, and all of them on a processor without fused multiply-add, stay
// ggml's. Calling it again does nothing; calls must not run beside each other or beside a computation: ggml keeps one list for the
// process.
//
// Where the operation has src[5] (scripts/patches/llama.cpp/ragged-batches.patch), its rows belong to several streams: for each row the
// number of the cell, of all streams, into which its own key is written. Rows of a stream stand together; keys and values are those of
// stream 0, the others lie nb[3] apart. src[5]->extra is null or a StreamOrigins.
void UseOwnAttention();

// Whether the kernel takes such heads, and this processor has what it takes.
bool AttentionHeadsAreOurs(std::int64_t key_size, std::int64_t value_size, std::int64_t heads, std::int64_t kv_heads);

}  // namespace cllm
