// ggml's CPU backend multiplies quantised weights by the kernel of this project.
#pragma once

#include <cstdint>

#include "quant/tensor_type.h"

struct ggml_backend_buffer_type;
struct llama_model;

namespace cllm {

// From now on llama.cpp keeps the weights of a model that it loads in our layout, where a GGML_OP_MUL_MAT multiplies them and the
// kernel takes their type (as MatmulKernel); those of experts, the others, and all of them on a processor without fused
// multiply-add stay ggml's. Call it before the first model is loaded: llama.cpp copies ggml's list of buffer types then. Calling it
// again does nothing; calls must not run beside each other or beside a computation: ggml keeps one list for the process.
void UseOwnMatmul();

// Bytes of a matrix in our layout; 0 where it is none that the kernel takes, or nothing is packed on this processor.
std::int64_t PackedWeightBytes(TensorType type, std::int64_t inputs, std::int64_t outputs);

// Where such weights are stored; they can be written whole, and not be read.
ggml_backend_buffer_type* OwnWeightBuffers();

// Whether the kernel multiplies all matrices of `model`. If so, a row has the same bytes whatever is computed beside it; ggml's ways
// to multiply differ with the number of rows.
bool AllWeightsAreOurs(const llama_model* model);

}  // namespace cllm
