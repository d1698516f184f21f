#include "engine/llamacpp/attention_op.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "kernels/attention.h"

namespace cllm {
namespace {

struct Shape {
  int head_size, heads, kv_heads, rows, positions, streams;
};

// ggml's attention of one shape; what it attends to is the same for every type of KV. Row r of stream s sees positions up to
// positions - rows + r - 100 s.
std::vector<float> Compute(const Shape& shape, ggml_type kv_type, int threads) {
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(
      ggml_init({.mem_size = std::size_t{256} << 20, .mem_buffer = nullptr, .no_alloc = false}), ggml_free);
  std::uint64_t counter = 0;
  const auto fill = [&counter](ggml_tensor* tensor) {
    for (std::int64_t i = 0; i < ggml_nelements(tensor); ++i) {
      const float number = std::round(static_cast<float>(UniformAt(1, 0, counter++)) * 128 - 64) / 32;  // exact in F16
      if (tensor->type == GGML_TYPE_F16) {
        static_cast<ggml_fp16_t*>(tensor->data)[i] = ggml_fp32_to_fp16(number);
      } else {
        static_cast<float*>(tensor->data)[i] = number;
      }
    }
  };
  ggml_tensor* query = ggml_new_tensor_4d(context.get(), GGML_TYPE_F32, shape.head_size, shape.heads, shape.rows, shape.streams);
  // As in llama.cpp's cache: the heads of a position lie side by side.
  ggml_tensor* key = ggml_new_tensor_4d(context.get(), kv_type, shape.head_size, shape.kv_heads, shape.positions, shape.streams);
  ggml_tensor* value = ggml_dup_tensor(context.get(), key);
  ggml_tensor* mask = ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, shape.positions, shape.rows, 1, shape.streams);
  fill(query);
  fill(key);
  fill(value);
  auto* hides = static_cast<ggml_fp16_t*>(mask->data);
  for (int stream = 0; stream < shape.streams; ++stream) {
    for (int row = 0; row < shape.rows; ++row) {
      for (int position = 0; position < shape.positions; ++position) {
        const bool seen = position <= shape.positions - shape.rows + row - 100 * stream;
        *hides++ = ggml_fp32_to_fp16(seen ? 0.0F : -INFINITY);
      }
    }
  }
  const auto by_head = [&context](ggml_tensor* tensor) { return ggml_permute(context.get(), tensor, 0, 2, 1, 3); };
  ggml_tensor* result = ggml_flash_attn_ext(context.get(), by_head(query), by_head(key), by_head(value), mask,
                                            1 / std::sqrt(static_cast<float>(shape.head_size)), 0, 0);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, result);
  EXPECT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, threads), GGML_STATUS_SUCCESS);
  const auto* floats = static_cast<const float*>(result->data);
  return {floats, floats + ggml_nelements(result)};
}

class AttentionOp : public testing::Test {
 protected:
  void SetUp() override {
    if (!AttentionKernel::IsFast()) GTEST_SKIP() << "this processor has no fused multiply-add";
    UseOwnAttention();
    UseOwnAttention();  // changes nothing
  }
};

// KV in F32 is ggml's, in F16 ours.
TEST_F(AttentionOp, GivesWhatGgmlGives) {
  for (const Shape& shape : {Shape{64, 9, 3, 1, 256, 1}, Shape{64, 9, 3, 1, 4096, 1}, Shape{128, 16, 8, 7, 1024, 1},
                             Shape{64, 9, 3, 1, 768, 4}, Shape{64, 4, 1, 130, 512, 2}, Shape{96, 6, 6, 64, 256, 1},
                             Shape{80, 64, 1, 3, 300, 1}}) {
    const std::vector<float> expected = Compute(shape, GGML_TYPE_F32, 2);
    const std::vector<float> ours = Compute(shape, GGML_TYPE_F16, 2);
    ASSERT_EQ(ours.size(), expected.size());
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], expected[i], 2e-5) << shape.positions << " at " << i;
  }
}

TEST_F(AttentionOp, HasTheSameBytesWithAnyNumberOfThreads) {
  for (const Shape& shape : {Shape{64, 9, 3, 1, 4096, 1}, Shape{128, 16, 8, 5, 1024, 2}, Shape{64, 4, 1, 130, 512, 1}}) {
    const std::vector<float> alone = Compute(shape, GGML_TYPE_F16, 1);
    for (const int threads : {2, 3, 8}) {
      const std::vector<float> together = Compute(shape, GGML_TYPE_F16, threads);
      EXPECT_EQ(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)), 0) << threads;
    }
  }
}

// More query heads share a KV head than one call of the kernel takes.
TEST_F(AttentionOp, LeavesToGgmlWhatItDoesNotTake) {
  const Shape shape{64, 80, 1, 2, 256, 1};
  const std::vector<float> expected = Compute(shape, GGML_TYPE_F32, 2);
  const std::vector<float> theirs = Compute(shape, GGML_TYPE_F16, 2);
  for (std::size_t i = 0; i < theirs.size(); ++i) ASSERT_NEAR(theirs[i], expected[i], 2e-2) << i;  // ggml sums these in F16
}

}  // namespace
}  // namespace cllm
