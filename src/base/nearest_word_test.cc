#include "base/nearest_word.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr std::array<std::string_view, 4> kKnown = {"max_tokens", "temperature", "top_k", "top_p"};

TEST(EditDistanceTest, CountsEdits) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("prot", "port"), 1u);  // one swap
  EXPECT_EQ(EditDistance("ca", "abc"), 3u);     // no part is edited twice
  EXPECT_EQ(EditDistance("Max-Batch", "max_batch"), 0u);
  EXPECT_EQ(EditDistance("max_batchsize", "max_batch_size"), 1u);
}

TEST(EditDistanceTest, OfLongWordsTheRestIsCounted) {
  const std::string edge(256, 'a');
  EXPECT_EQ(EditDistance(edge + "bc", edge), 2u);
  EXPECT_EQ(EditDistance(edge, edge + "bc"), 2u);
  EXPECT_EQ(EditDistance("b", edge + "c"), 257u);
  EXPECT_EQ(EditDistance(std::string(10'000'000, 'x'), "top_k"), 10'000'000u);
}

TEST(NearestWordTest, OneEditOrOneSwap) {
  EXPECT_EQ(NearestWord("max_token", kKnown, 1), "max_tokens");
  EXPECT_EQ(NearestWord("max_toknes", kKnown, 1), "max_tokens");
  EXPECT_EQ(NearestWord("max_tokens", kKnown, 1), "max_tokens");
  EXPECT_EQ(NearestWord("temprature", kKnown, 1), "temperature");
  EXPECT_EQ(NearestWord("mx_token", kKnown, 1), std::nullopt);
  EXPECT_EQ(NearestWord("mx_token", kKnown, 2), "max_tokens");
  EXPECT_EQ(NearestWord("", kKnown, 1), std::nullopt);
  EXPECT_EQ(NearestWord(std::string(8 << 20, 't'), kKnown, 1), std::nullopt);
}

TEST(NearestWordTest, TheFirstOfSeveral) {
  EXPECT_EQ(NearestWord("top_x", kKnown), "top_k");
  EXPECT_EQ(NearestWord("", kKnown), "top_k");
  EXPECT_EQ(NearestWord("top_k", {}), std::nullopt);
}

TEST(NearestWordTest, ByAnotherMeasure) {
  const auto size = [](std::string_view word) { return word.size(); };
  EXPECT_EQ(NearestWord(kKnown, size), "top_k");
  EXPECT_EQ(NearestWord(kKnown, size, 4), std::nullopt);
}

}  // namespace
}  // namespace cllm
