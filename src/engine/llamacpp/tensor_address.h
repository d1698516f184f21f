// Where an element of a ggml tensor lies.
#pragma once

#include <cstdint>

#include <ggml.h>

namespace cllm {

// The first element of the row with these indices.
inline char* RowAt(const ggml_tensor* tensor, std::int64_t i1, std::int64_t i2, std::int64_t i3) {
  return static_cast<char*>(tensor->data) + i1 * tensor->nb[1] + i2 * tensor->nb[2] + i3 * tensor->nb[3];
}

}  // namespace cllm
