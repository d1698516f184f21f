// The types that keys and values may have, by their names in the options.
#pragma once

#include <ggml.h>

#include <string>

namespace cllm {

inline ggml_type KvType(const std::string& name) {
  if (name == "f32") return GGML_TYPE_F32;
  if (name == "bf16") return GGML_TYPE_BF16;
  if (name == "q8_0") return GGML_TYPE_Q8_0;
  if (name == "q4_0") return GGML_TYPE_Q4_0;
  return GGML_TYPE_F16;
}

}  // namespace cllm
