#include "engine/llamacpp/attention_op.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/llamacpp/stream_origins.h"
#include "kernels/attention.h"

namespace cllm {
namespace {

struct Case {
  int key_size, value_size, heads, kv_heads, rows, positions, streams = 1;
  int window = 1 << 20;  // positions before a row's own that it sees
  bool is_masked = true;
  bool one_mask = false;  // for all streams
  float max_bias = 0, soft_cap = 0;
  bool has_sinks = false;
  int cells = 0;  // of a stream in the cache, where there are more than `positions`
};

// ggml's attention; what it attends to is the same for every type of KV. Row r of stream s sees positions up to
// positions - rows + r - 100 s.
std::vector<float> Compute(const Case& c, ggml_type kv_type, int threads) {
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
    return tensor;
  };
  // As in llama.cpp's cache: the heads of a position lie side by side, and not all cells are in use.
  const auto cache = [&](int size) {
    ggml_tensor* all = fill(ggml_new_tensor_4d(context.get(), kv_type, size, c.kv_heads, std::max(c.cells, c.positions), c.streams));
    ggml_tensor* used = ggml_view_4d(context.get(), all, size, c.kv_heads, c.positions, c.streams, all->nb[1], all->nb[2], all->nb[3], 0);
    return ggml_permute(context.get(), used, 0, 2, 1, 3);
  };
  ggml_tensor* query = fill(ggml_new_tensor_4d(context.get(), GGML_TYPE_F32, c.key_size, c.heads, c.rows, c.streams));
  ggml_tensor* key = cache(c.key_size);
  ggml_tensor* value = cache(c.value_size);
  ggml_tensor* mask = ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, c.positions, c.rows, 1, c.one_mask ? 1 : c.streams);
  auto* hides = static_cast<ggml_fp16_t*>(mask->data);
  for (int stream = 0; stream < mask->ne[3]; ++stream) {
    for (int row = 0; row < c.rows; ++row) {
      const int own = c.positions - c.rows + row - 100 * stream;
      for (int position = 0; position < c.positions; ++position) {
        const bool seen = position <= own && position >= own - c.window;
        *hides++ = ggml_fp32_to_fp16(seen ? 0.0F : -INFINITY);
      }
    }
  }
  ggml_tensor* result =
      ggml_flash_attn_ext(context.get(), ggml_permute(context.get(), query, 0, 2, 1, 3), key, value, c.is_masked ? mask : nullptr,
                          1 / std::sqrt(static_cast<float>(c.key_size)), c.max_bias, c.soft_cap);
  if (c.has_sinks) ggml_flash_attn_ext_add_sinks(result, fill(ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, c.heads)));
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, result);
  EXPECT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, threads), GGML_STATUS_SUCCESS);
  const auto* floats = static_cast<const float*>(result->data);
  return {floats, floats + ggml_nelements(result)};
}

// Rows of one stream in a step of several.
struct Part {
  int stream, computed, rows;  // row r sees positions up to computed + r
};

// The rows of all parts in one operation, by the cells that they are written to; or, if `alone` >= 0, those of this part only.
// Heads of 64, four of queries and two of keys. What a stream shares with its origin in whole spans is NaN but in the origin, where all
// are computed.
std::vector<float> ComputeParts(const std::vector<Part>& parts, int positions, int alone, int threads,
                                const StreamOrigins* origins = nullptr) {
  constexpr int kSize = 64, kHeads = 4, kKvHeads = 2, kCells = 2048, kStreams = 5;
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(
      ggml_init({.mem_size = std::size_t{64} << 20, .mem_buffer = nullptr, .no_alloc = false}), ggml_free);
  const auto number = [](std::uint64_t series, std::int64_t i) { return static_cast<float>(UniformAt(1, series, i)) * 4 - 2; };
  const auto cache = [&](std::uint64_t series) {
    ggml_tensor* all = ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, kSize, kKvHeads, kCells, kStreams);
    for (int cell = 0; cell < kCells * kStreams; ++cell) {
      const int stream = cell / kCells, position = cell % kCells, end_of_span = (position / kAttentionSpan + 1) * kAttentionSpan;
      const int source = origins == nullptr ? stream : origins->SourceOf(stream, position + 1);
      const bool is_elsewhere = alone < 0 && origins != nullptr && origins->SourceOf(stream, end_of_span) != stream;
      for (int i = 0; i < kSize * kKvHeads; ++i) {
        const float element = number(series, (std::int64_t{source} * kCells + position) * kSize * kKvHeads + i);
        static_cast<ggml_fp16_t*>(all->data)[cell * kSize * kKvHeads + i] = ggml_fp32_to_fp16(is_elsewhere ? NAN : element);
      }
    }
    const std::size_t first_stream = alone < 0 ? 0 : parts[alone].stream * all->nb[3];
    ggml_tensor* used = ggml_view_4d(context.get(), all, kSize, kKvHeads, positions, 1, all->nb[1], all->nb[2], all->nb[3], first_stream);
    return ggml_permute(context.get(), used, 0, 2, 1, 3);
  };
  ggml_tensor* key = cache(1);
  ggml_tensor* value = cache(2);
  int rows = 0;
  for (int p = 0; p < static_cast<int>(parts.size()); ++p) rows += alone < 0 || alone == p ? parts[p].rows : 0;
  ggml_tensor* query = ggml_new_tensor_4d(context.get(), GGML_TYPE_F32, kSize, kHeads, rows, 1);
  ggml_tensor* mask = ggml_new_tensor_4d(context.get(), GGML_TYPE_F16, positions, rows, 1, 1);
  ggml_tensor* cells = ggml_new_tensor_1d(context.get(), GGML_TYPE_I64, rows);
  int row = 0;
  for (int p = 0; p < static_cast<int>(parts.size()); ++p) {
    for (int r = 0; r < parts[p].rows && (alone < 0 || alone == p); ++r, ++row) {
      const int own = parts[p].computed + r;
      static_cast<std::int64_t*>(cells->data)[row] = parts[p].stream * kCells + own;
      for (int i = 0; i < kSize * kHeads; ++i) static_cast<float*>(query->data)[row * kSize * kHeads + i] = number(10 + p, r * 1000 + i);
      for (int i = 0; i < positions; ++i) {
        static_cast<ggml_fp16_t*>(mask->data)[row * positions + i] = ggml_fp32_to_fp16(i <= own ? 0.0F : -INFINITY);
      }
    }
  }
  ggml_tensor* result = ggml_flash_attn_ext(context.get(), ggml_permute(context.get(), query, 0, 2, 1, 3), key, value, mask, 0.125F, 0, 0);
  cells->extra = const_cast<StreamOrigins*>(origins);
  if (alone < 0) result->src[5] = cells;
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, result);
  EXPECT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, threads), GGML_STATUS_SUCCESS);
  const auto* floats = static_cast<const float*>(result->data);
  return {floats, floats + ggml_nelements(result)};
}

// KV in F32 is always ggml's.
double FurthestFromGgml(const Case& c) {
  const std::vector<float> expected = Compute(c, GGML_TYPE_F32, 2);
  const std::vector<float> found = Compute(c, GGML_TYPE_F16, 2);
  EXPECT_EQ(found.size(), expected.size());
  double furthest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double distance = std::abs(static_cast<double>(found[i]) - expected[i]);
    if (!(distance <= furthest)) furthest = distance;
  }
  return furthest;
}

class AttentionOp : public testing::Test {
 protected:
  void SetUp() override {
    if (!AttentionKernel::IsFast()) GTEST_SKIP() << "this processor has no fused multiply-add";
    UseOwnAttention();
    UseOwnAttention();  // changes nothing
  }
};

TEST_F(AttentionOp, GivesWhatGgmlGives) {
  const std::vector<Case> cases = {
      {64, 64, 9, 3, 1, 256},
      {64, 64, 9, 3, 1, 4096},
      {128, 128, 16, 8, 7, 1024},
      {64, 64, 9, 3, 1, 768, 4},
      {64, 64, 4, 1, 130, 512, 2},
      {96, 96, 6, 6, 64, 256},
      {80, 64, 64, 1, 3, 300},
      {128, 64, 8, 2, 5, 600},
      {.key_size = 64, .value_size = 64, .heads = 4, .kv_heads = 2, .rows = 3, .positions = 1000, .window = 100},
      {.key_size = 64, .value_size = 64, .heads = 4, .kv_heads = 2, .rows = 3, .positions = 512, .is_masked = false},
      {.key_size = 64, .value_size = 64, .heads = 4, .kv_heads = 2, .rows = 3, .positions = 512, .streams = 2, .one_mask = true},
      {.key_size = 64, .value_size = 64, .heads = 4, .kv_heads = 2, .rows = 1, .positions = 512, .streams = 3, .cells = 1024},
      // Streams of which spans are hidden, behind and before what they see.
      {.key_size = 64, .value_size = 64, .heads = 6, .kv_heads = 2, .rows = 2, .positions = 1100, .streams = 8, .window = 120},
      {.key_size = 64, .value_size = 64, .heads = 6, .kv_heads = 2, .rows = 1, .positions = 800, .streams = 7, .one_mask = true},
  };
  for (const Case& c : cases) EXPECT_LT(FurthestFromGgml(c), 2e-5) << "case " << &c - cases.data();
}

TEST_F(AttentionOp, HasTheSameBytesWithAnyNumberOfThreads) {
  for (const Case& c : {Case{64, 64, 9, 3, 1, 4096}, Case{128, 128, 16, 8, 5, 1024, 2}, Case{128, 128, 16, 8, 9, 1024, 2},
                        Case{64, 64, 9, 3, 1, 1536, 12}, Case{64, 64, 4, 1, 130, 512}}) {
    const std::vector<float> alone = Compute(c, GGML_TYPE_F16, 1);
    for (const int threads : {2, 3, 8}) {
      const std::vector<float> together = Compute(c, GGML_TYPE_F16, threads);
      EXPECT_EQ(std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)), 0) << threads;
    }
  }
}

// Of `step`, with its parts one by one and together on several numbers of threads.
void ExpectTheBytesOfEachAlone(const std::vector<Part>& step, const StreamOrigins* origins) {
  const auto padded = [](int positions) { return (positions + 255) / 256 * 256; };
  int most = 0;
  std::vector<float> expected;
  for (int p = 0; p < static_cast<int>(step.size()); ++p) {
    const int positions = step[p].computed + step[p].rows;
    most = std::max(most, positions);
    const std::vector<float> part = ComputeParts(step, padded(positions), p, 1, origins);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  for (const int threads : {1, 2, 3, 8}) {
    const std::vector<float> found = ComputeParts(step, padded(most), -1, threads, origins);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << threads << " threads";
  }
}

TEST_F(AttentionOp, RowsOfSeveralStreamsHaveTheBytesThatTheyHaveAlone) {
  for (const std::vector<Part>& step : std::vector<std::vector<Part>>{
           {{0, 300, 1}, {1, 20, 1}, {4, 1500, 1}},
           {{3, 900, 1}, {0, 5, 1}, {2, 1100, 7}},              // decodes, out of order, and a small chunk
           {{1, 100, 1}, {2, 0, 300}},                          // a chunk of whole units
           {{4, 0, 1}, {1, 255, 2}, {0, 700, 90}, {3, 0, 33}},  // several prompts
           {{2, 1700, 40}},
       }) {
    SCOPED_TRACE(step.front().stream);
    ExpectTheBytesOfEachAlone(step, nullptr);
  }
}

TEST_F(AttentionOp, WhatStreamsShareIsReadAtItsOrigin) {
  StreamOrigins origins(5);
  origins.Copied(0, 1, 1000);
  origins.Copied(0, 2, 1000);
  origins.Copied(2, 3, 600);
  ExpectTheBytesOfEachAlone({{0, 1100, 1}, {1, 1010, 1}, {2, 1300, 1}, {3, 700, 1}, {4, 800, 1}}, &origins);
  ExpectTheBytesOfEachAlone({{1, 1010, 1}, {3, 610, 1}, {2, 1000, 6}}, &origins);     // the origin itself has no row
  ExpectTheBytesOfEachAlone({{1, 1010, 12}, {3, 610, 12}, {2, 1000, 12}}, &origins);  // more queries than fit into one call
  origins.Cut(0, 300);
  ExpectTheBytesOfEachAlone({{0, 300, 2}, {1, 1010, 1}, {2, 1300, 1}, {3, 700, 1}}, &origins);
}

// ggml sums these in F16, so they differ more from its sums in F32 than ours do.
TEST_F(AttentionOp, LeavesToGgmlWhatItDoesNotTake) {
  const Case taken{.key_size = 64, .value_size = 64, .heads = 4, .kv_heads = 2, .rows = 2, .positions = 512};
  Case many_heads = taken;
  many_heads.heads = 65 * many_heads.kv_heads;
  Case biased = taken;
  biased.max_bias = 8;
  Case capped = taken;
  capped.soft_cap = 1;
  Case with_sinks = taken;
  with_sinks.has_sinks = true;
  Case odd_heads = taken;
  odd_heads.key_size = 100;
  EXPECT_LT(FurthestFromGgml(taken), 2e-5);
  for (const Case& c : {many_heads, biased, capped, with_sinks, odd_heads}) {
    const double furthest = FurthestFromGgml(c);
    EXPECT_GT(furthest, 2e-5);
    EXPECT_LT(furthest, 2e-2);
  }
}

TEST_F(AttentionOp, SaysWhichHeadsItTakes) {
  EXPECT_TRUE(AttentionHeadsAreOurs(64, 64, 9, 3));
  EXPECT_TRUE(AttentionHeadsAreOurs(256, 256, 4, 1));
  EXPECT_FALSE(AttentionHeadsAreOurs(100, 100, 32, 32));
  EXPECT_FALSE(AttentionHeadsAreOurs(8, 8, 8, 4));
  EXPECT_FALSE(AttentionHeadsAreOurs(576, 512, 128, 1));
  EXPECT_FALSE(AttentionHeadsAreOurs(64, 64, 65, 1));
  EXPECT_FALSE(AttentionHeadsAreOurs(64, 64, 9, 0));
}

}  // namespace
}  // namespace cllm
