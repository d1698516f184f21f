#include "engine/llamacpp/matmul_op.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "kernels/matmul.h"

namespace cllm {
namespace {

struct Free {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<ggml_context> NewContext() { return Owned<ggml_context>(ggml_init({.mem_size = 1 << 20, .mem_buffer = nullptr, .no_alloc = true})); }

struct ProductCase {
  ggml_type type;
  int inputs, outputs, rows, planes = 1;
  bool is_permuted = false;  // the input's rows don't lie behind each other
};

// The product with weights that are stored in `buffers`.
std::vector<float> ComputeProduct(const ProductCase& c, ggml_backend_buffer_type_t buffers, ggml_type stored, int threads) {
  std::uint64_t counter = 0;
  const auto numbers = [&counter](std::int64_t count) {
    std::vector<float> made(count);
    for (float& number : made) number = static_cast<float>(UniformAt(5, 0, counter++) * 2 - 1);
    return made;
  };
  const Owned<ggml_context> weight_context = NewContext();
  ggml_tensor* weights = ggml_new_tensor_2d(weight_context.get(), stored, c.inputs, c.outputs);
  const Owned<ggml_backend_buffer> weight_buffer(ggml_backend_alloc_ctx_tensors_from_buft(weight_context.get(), buffers));
  const std::vector<float> plain = numbers(std::int64_t{c.inputs} * c.outputs);
  std::vector<std::byte> quantised(ggml_row_size(c.type, c.inputs) * c.outputs);
  ggml_quantize_chunk(c.type, plain.data(), quantised.data(), 0, c.outputs, c.inputs, nullptr);
  if (stored == GGML_TYPE_F32) {
    std::vector<float> same(plain.size());
    ggml_get_type_traits(c.type)->to_float(quantised.data(), same.data(), static_cast<std::int64_t>(same.size()));
    ggml_backend_tensor_set(weights, same.data(), 0, ggml_nbytes(weights));
  } else {
    ggml_backend_tensor_set(weights, quantised.data(), 0, ggml_nbytes(weights));
  }

  const Owned<ggml_context> context = NewContext();
  ggml_tensor* all = c.is_permuted ? ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, c.inputs, c.planes, c.rows)
                                   : ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, c.inputs, c.rows, c.planes);
  ggml_tensor* input = c.is_permuted ? ggml_permute(context.get(), all, 0, 2, 1, 3) : all;
  ggml_tensor* product = ggml_mul_mat(context.get(), weights, input);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, product);
  const Owned<ggml_backend> backend(ggml_backend_cpu_init());
  ggml_backend_cpu_set_n_threads(backend.get(), threads);
  EXPECT_TRUE(ggml_backend_supports_op(backend.get(), product));
  const Owned<ggml_backend_buffer> buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  const std::vector<float> values = numbers(ggml_nelements(all));
  ggml_backend_tensor_set(all, values.data(), 0, ggml_nbytes(all));
  EXPECT_EQ(ggml_backend_graph_compute(backend.get(), graph), GGML_STATUS_SUCCESS);
  std::vector<float> result(ggml_nelements(product));
  ggml_backend_tensor_get(product, result.data(), 0, ggml_nbytes(product));
  return result;
}

class MatmulOp : public testing::Test {
 protected:
  void SetUp() override {
    if (!MatmulKernel::IsFast()) GTEST_SKIP() << "this processor has no fused multiply-add";
    UseOwnMatmul();
    UseOwnMatmul();  // changes nothing
  }
};

// Inputs have 8 bits in ours, 24 in the other.
TEST_F(MatmulOp, GivesTheProductOfTheWeightsInFloats) {
  for (const ggml_type type :
       {GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K}) {
    for (const ProductCase& c :
         {ProductCase{type, 512, 48, 1}, ProductCase{type, 256, 1, 1}, ProductCase{type, 768, 33, 9}, ProductCase{type, 512, 100, 70},
          ProductCase{type, 256, 40, 3, 4}, ProductCase{type, 256, 40, 3, 4, true}}) {
      const std::vector<float> expected = ComputeProduct(c, ggml_backend_cpu_buffer_type(), GGML_TYPE_F32, 2);
      const std::vector<float> found = ComputeProduct(c, OwnWeightBuffers(), type, 2);
      ASSERT_EQ(found.size(), expected.size());
      double error = 0, norm = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        error += std::pow(found[i] - expected[i], 2);
        norm += std::pow(expected[i], 2);
      }
      EXPECT_LT(std::sqrt(error / norm), 0.01) << ggml_type_name(type) << " " << c.inputs << " " << c.outputs << " " << c.rows;
      EXPECT_GT(std::sqrt(error / norm), 1e-6) << "it was computed by another kernel";
    }
  }
}

TEST_F(MatmulOp, HasTheSameBytesWithAnyNumberOfThreads) {
  for (const ProductCase& c :
       {ProductCase{GGML_TYPE_Q4_1, 576, 1000, 5}, ProductCase{GGML_TYPE_Q6_K, 512, 16, 70}, ProductCase{GGML_TYPE_Q4_K, 1024, 200, 1}}) {
    const std::vector<float> alone = ComputeProduct(c, OwnWeightBuffers(), c.type, 1);
    for (const int threads : {2, 3, 8}) {
      const std::vector<float> together = ComputeProduct(c, OwnWeightBuffers(), c.type, threads);
      EXPECT_EQ(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)), 0) << threads;
    }
  }
}

TEST_F(MatmulOp, LeavesToGgmlWhatItDoesNotTake) {
  const Owned<ggml_context> context = NewContext();
  const Owned<ggml_backend> backend(ggml_backend_cpu_init());
  const auto takes = [&](ggml_tensor* weights, ggml_tensor* input) {
    ggml_tensor* product = ggml_mul_mat(context.get(), weights, input);
    weights->buffer = ggml_backend_buft_alloc_buffer(OwnWeightBuffers(), 0);
    const bool taken = ggml_backend_supports_op(backend.get(), product);
    ggml_backend_buffer_free(weights->buffer);
    weights->buffer = nullptr;
    return taken;
  };
  const auto weights = [&](ggml_type type, int planes) { return ggml_new_tensor_3d(context.get(), type, 256, 32, planes); };
  ggml_tensor* input = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, 256, 4);
  EXPECT_TRUE(takes(weights(GGML_TYPE_Q4_K, 1), input));
  EXPECT_FALSE(takes(weights(GGML_TYPE_Q2_K, 1), input));
  EXPECT_FALSE(takes(weights(GGML_TYPE_F16, 1), input));
  EXPECT_FALSE(takes(weights(GGML_TYPE_Q4_K, 2), ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, 256, 4, 2)));
  EXPECT_FALSE(takes(weights(GGML_TYPE_Q4_K, 1), ggml_new_tensor_2d(context.get(), GGML_TYPE_F16, 256, 4)));
}

}  // namespace
}  // namespace cllm
