// Memory that a model takes beside its KV cache, known from its file before anything is allocated.
#pragma once

#include <cstdint>

#include "engine/llamacpp/llamacpp_options.h"
#include "formats/gguf_file.h"

namespace cllm {

// Most resident memory of weights, as they are mapped, packed or both, while they are loaded and later, and of the tokenizer's tables.
std::int64_t WeightMemory(const GgufFile& file, const WeightOptions& options);

}  // namespace cllm
