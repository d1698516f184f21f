#include "cli/context_choice.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

// 64 KiB a token in F16: 8,192 tokens take 512 MiB.
ModelFacts SomeModel(int trained = 32768) {
  ModelFacts info;
  info.trained_context = trained;
  info.kv_bytes_per_token_f16 = 64 << 10;
  return info;
}

TEST(AutoContext, IsWhatTheModelWasTrainedForWithinABound) {
  constexpr std::int64_t kPlenty = std::int64_t{1} << 40;
  EXPECT_EQ(AutoContext(kPlenty, 131072, 8), 8192);
  EXPECT_EQ(AutoContext(kPlenty, 8192, 8), 8192);
  EXPECT_EQ(AutoContext(kPlenty, 1000, 8), 1000);
  EXPECT_EQ(AutoContext(kPlenty, 0, 8), 8192);
  EXPECT_EQ(AutoContext(kPlenty, 1, 8), 1);
}

TEST(AutoContext, IsHalvedUntilFourRequestsFit) {
  EXPECT_EQ(AutoContext(4 * 8192, 32768, 8), 8192);
  EXPECT_EQ(AutoContext(4 * 8192 - 1, 32768, 8), 4096);
  EXPECT_EQ(AutoContext(4 * 1000, 32768, 8), 512);
  EXPECT_EQ(AutoContext(0, 32768, 8), 512);
  EXPECT_EQ(AutoContext(0, 700, 8), 700);  // halving it would leave less than 512
}

TEST(AutoContext, IsNotHalvedForMoreRequestsThanMayRun) {
  EXPECT_EQ(AutoContext(8192, 32768, 1), 8192);
  EXPECT_EQ(AutoContext(2 * 8192, 32768, 2), 8192);
}

TEST(ChooseContext, TakesNoMoreThanHalfOfTheFreeMemory) {
  const ServeOptions options;
  for (const std::int64_t free_mb : {200, 300, 999, 4095, 4096, 5000, 8191, 8192, 100000}) {
    const auto choice = ChooseContext(options, SomeModel(), 0, free_mb * kMiB);
    ASSERT_TRUE(choice) << free_mb;
    EXPECT_LE(choice->kv.sequences * choice->kv.bytes_per_sequence, free_mb * kMiB / 2) << free_mb;
    EXPECT_GE(choice->kv.sequences, free_mb >= 512 ? 4 : 1) << free_mb;
  }
}

TEST(ChooseContext, PlacesMakeWayBeforeTheContextDoes) {
  const ServeOptions options;
  const auto choose = [&](std::int64_t free_mb) { return *ChooseContext(options, SomeModel(), 0, free_mb * kMiB); };
  EXPECT_EQ(choose(8192).context, 8192);
  EXPECT_EQ(choose(8192).kv.sequences, 8);
  EXPECT_EQ(choose(5 * 1024).context, 8192);
  EXPECT_EQ(choose(5 * 1024).kv.sequences, 5);
  EXPECT_EQ(choose(4 * 1024).kv.sequences, 4);
  EXPECT_EQ(choose(4 * 1024 - 2).context, 4096);
  EXPECT_EQ(choose(4 * 1024 - 2).kv.sequences, 7);
}

TEST(ChooseContext, SmallerElementsMeanMoreTokens) {
  ServeOptions options;
  options.llama_cpp.kv_type = "q8_0";
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 2400 * kMiB)->context, 8192);
  options.llama_cpp.kv_type = "f32";
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 4096 * kMiB)->context, 4096);
}

TEST(ChooseContext, ABudgetThatIsSetIsUsedAsAWhole) {
  const ServeOptions options;
  const auto choice = ChooseContext(options, SomeModel(), 2048, 2048 * kMiB);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->context, 8192);
  EXPECT_EQ(choice->kv.sequences, 4);
}

TEST(ChooseContext, AContextThatIsSetIsObeyedOrRefused) {
  ServeOptions options;
  options.model.max_context_length = 16384;
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 2000 * kMiB)->context, 16384);
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 2000 * kMiB)->kv.sequences, 1);
  const auto refused = ChooseContext(options, SomeModel(), 0, 1000 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("16384 tokens needs 1024 MiB"), std::string::npos) << refused.error().message;
  options.model.max_context_length = kTrainedContext;
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 100000 * kMiB)->context, 32768);
}

TEST(ChooseContext, WhereNotEvenAShortRequestFitsTheMessageSaysSo) {
  const ServeOptions options;
  const auto refused = ChooseContext(options, SomeModel(), 10, 100000 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("512 tokens needs 32 MiB of KV cache, only 10 MiB"), std::string::npos) << refused.error().message;
}

TEST(ChooseContext, SaysWhy) {
  const ServeOptions options;
  EXPECT_EQ(ChooseContext(options, SomeModel(), 0, 4096 * kMiB)->why,
            "2048 MiB may be used and hold 32768 tokens; the model was trained for 32768");
}

ModelFacts SomeEncoder(int trained) {
  ModelFacts info;
  info.trained_context = trained;
  info.generates = false;
  return info;
}

TEST(ChooseContext, OfAModelThatOnlyEmbedsIsWhatItWasTrainedFor) {
  ServeOptions options;
  const auto choose = [&](int trained, std::int64_t free_mb) { return ChooseContext(options, SomeEncoder(trained), 0, free_mb * kMiB); };
  EXPECT_EQ(choose(512, 100)->context, 512);
  EXPECT_EQ(choose(512, 100)->kv.bytes_per_sequence, 0);
  EXPECT_GT(choose(512, 100)->kv.sequences, 1);
  EXPECT_EQ(choose(100'000, 100'000)->context, 8192);
  EXPECT_EQ(choose(8192, 1536)->context, 8192);
  EXPECT_EQ(choose(8192, 1535)->context, 4096) << "a text takes memory by the square of its length";
  options.model.max_context_length = 128;
  EXPECT_EQ(choose(512, 100)->context, 128);
  options.model.max_context_length = 513;
  EXPECT_EQ(choose(512, 100).error().field, "model.max_context_length");
}

}  // namespace
}  // namespace cllm
