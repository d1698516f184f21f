#include "cli/model_memory.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "engine/llamacpp/matmul_op.h"
#include "formats/testing_gguf.h"

namespace cllm {
namespace {

constexpr std::uint32_t kF32 = 0, kQ4_0 = 2;
constexpr std::int64_t kRow = 4096, kWords = 1000, kMatrixBytes = kRow / 32 * 18 * kWords, kNormBytes = kRow * 4;
constexpr std::int64_t kTables = 3 * 256;

std::int64_t MemoryOf(const std::function<void(TestingGguf&)>& add, const WeightOptions& options) {
  TestingGguf writer;
  writer.Strings("tokenizer.ggml.tokens", {"a", "b"}).Strings("tokenizer.ggml.merges", {"a b"});
  writer.Tensor("token_embd.weight", {kRow, kWords}, kQ4_0, kMatrixBytes).Tensor("norm.weight", {kRow}, kF32, kNormBytes);
  add(writer);
  const std::string bytes = writer.Bytes();
  const auto file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "test");
  EXPECT_TRUE(file) << file.error().message;
  return WeightMemory(*file, options);
}

TEST(ModelMemoryTest, MatricesArePackedAndEmbeddingsLookedUpWhereTheyLie) {
  const std::int64_t packed = PackedWeightBytes(TensorType::kQ4_0, kRow, kWords);
  if (packed == 0) GTEST_SKIP() << "nothing is packed on this processor";
  EXPECT_NEAR(static_cast<double>(packed), static_cast<double>(kMatrixBytes), 0.1 * kMatrixBytes);
  const auto tied = [](TestingGguf&) {};
  const auto output = [](TestingGguf& file) { file.Tensor("output.weight", {kRow, kWords}, kQ4_0, kMatrixBytes); };
  EXPECT_EQ(MemoryOf(tied, {}), packed + kMatrixBytes + kNormBytes + kTables);
  EXPECT_EQ(MemoryOf(output, {}), packed + kMatrixBytes + kNormBytes + kTables);
  // Read into memory of its own, a tensor is there a second time until it is packed.
  EXPECT_EQ(MemoryOf(tied, {.use_mmap = false}), packed + kMatrixBytes + kNormBytes + kMatrixBytes + kTables);
  // A locked file stays as a whole.
  EXPECT_GE(MemoryOf(output, {.use_mlock = true}), packed + 2 * kMatrixBytes + kTables);
}

TEST(ModelMemoryTest, AFileIsThereAsAWholeWhenItsLoadBegins) {
  const auto long_file = [](TestingGguf& file) { file.Tensor("experts.weight", {kRow, 16, 64}, kF32, kRow * 16 * 64 * 4); };
  EXPECT_GE(MemoryOf(long_file, {}), kRow * 16 * 64 * 4 + kMatrixBytes);
}

}  // namespace
}  // namespace cllm
