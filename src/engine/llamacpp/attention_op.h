// ggml's CPU backend computes attention by the kernel of this project.
#pragma once

namespace cllm {

// From now on every GGML_OP_FLASH_ATTN_EXT that the kernel takes (keys and values in F16, no bias by position, soft cap or sinks,
// heads as in AttentionHeadsAreOurs) is computed by it; the others, and all of them on a processor without fused multiply-add, stay ggml's. Calling it again does
// nothing; calls must not run beside each other or beside a computation: ggml keeps one list for the process.
void UseOwnAttention();

// Whether the kernel takes such heads, and this processor has what it takes.
bool AttentionHeadsAreOurs(int key_size, int value_size, int heads, int kv_heads);

}  // namespace cllm
