#include "cli/model_memory.h"

#include <algorithm>

#include "engine/llamacpp/matmul_op.h"

namespace cllm {
namespace {

// What tables have of a token or of a merge: texts on both sides of a map, some numbers, places in the allocator.
constexpr std::int64_t kBytesOfAWord = 256;

std::int64_t PackedBytes(const GgufTensor& tensor) {
  return tensor.dimensions == 2 ? PackedWeightBytes(tensor.type->type, tensor.shape[0], tensor.shape[1]) : 0;
}

std::int64_t TableBytes(const GgufFile& file) {
  std::int64_t words = 0;
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) {
    if (const GgufEntry* entry = file.FindEntry(key)) words += static_cast<std::int64_t>(entry->count);
  }
  return words * kBytesOfAWord;
}

}  // namespace

std::int64_t WeightMemory(const GgufFile& file, const WeightOptions& options) {
  const auto file_bytes = static_cast<std::int64_t>(file.size_bytes());
  std::int64_t packed = 0, in_file = 0, largest = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    const auto bytes = static_cast<std::int64_t>(tensor.bytes);
    largest = std::max(largest, bytes);
    // Embeddings are looked up where they lie in the file; where they are the output's weights as well these are packed beside.
    const bool is_embeddings = tensor.name == "token_embd.weight";
    const bool is_output = is_embeddings && file.FindTensor("output.weight") == nullptr;
    const std::int64_t packs = is_embeddings && !is_output ? 0 : PackedBytes(tensor);
    packed += packs;
    if (packs == 0 || is_embeddings) in_file += bytes;
  }
  // A mapped file is resident as a whole when its load begins, and one that is locked stays so. Each tensor is read before it is packed.
  if (options.use_mmap && options.use_mlock) in_file = file_bytes;
  const std::int64_t loading = packed + largest + (options.use_mmap ? 0 : in_file);
  return std::max({packed + in_file, loading, options.use_mmap ? file_bytes : 0}) + TableBytes(file);
}

}  // namespace cllm
