#include "model/layer_memory.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

std::int64_t Available(int gpu_layers) {
  return LayerMemory{.layers = 40, .gpu_layers = gpu_layers, .gpu_bytes = 8 * kGiB, .main_bytes = 12 * kGiB}.available_bytes();
}

TEST(LayerMemory, IsThatOfThePlaceThatIsFullFirst) {
  EXPECT_EQ(Available(0), 12 * kGiB);
  EXPECT_EQ(Available(40), 8 * kGiB);
  EXPECT_EQ(Available(20), 16 * kGiB);  // half on the GPU
  EXPECT_EQ(Available(10), 16 * kGiB);  // main memory is full first
}

TEST(LayerMemory, MainMemoryWhereNoLayerIsOnAGpu) {
  const LayerMemory memory = FindLayerMemory({.n_gpu_layers = 0}, 40);
  EXPECT_EQ(memory.gpu_layers, 0);
  EXPECT_EQ(memory.gpu_name, "");
  EXPECT_GT(memory.main_bytes, 0);
  EXPECT_EQ(memory.available_bytes(), memory.main_bytes);
}

TEST(LayerMemory, TheGpusWhereAllLayersAre) {
  if (!Model::HasGpuSupport()) GTEST_SKIP() << "there is no GPU";
  const LayerMemory memory = FindLayerMemory({}, 40);
  EXPECT_TRUE(memory.all_on_gpu());
  EXPECT_NE(memory.gpu_name, "");
  EXPECT_GT(memory.gpu_bytes, 0);
  EXPECT_EQ(memory.available_bytes(), memory.gpu_bytes);
  EXPECT_EQ(FindLayerMemory({.n_gpu_layers = 1}, 40).gpu_layers, 0);  // the output alone
  EXPECT_EQ(FindLayerMemory({.n_gpu_layers = 11}, 40).gpu_layers, 10);
  EXPECT_EQ(FindLayerMemory({.n_gpu_layers = 99}, 40).gpu_layers, 40);
}

}  // namespace
}  // namespace cllm
