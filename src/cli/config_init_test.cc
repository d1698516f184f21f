#include "cli/config_init.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/options.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

constexpr std::int64_t kGiB = 1LL << 30;

// What the settings come to once they are read back from the file.
ServeOptions ReadBack(const MachineFacts& machine, const std::optional<ModelToServe>& model) {
  ServeOptions options;
  OptionTable table;
  DeclareOptions(options, table);
  const std::vector<ChosenValue> chosen = ChooseSettings(machine, model);
  const Status status = ApplyYamlText(RenderStarterYaml(table, "For a test.", chosen), "c.yaml", table);
  EXPECT_TRUE(status) << status.error().message;
  return options;
}

TEST(ConfigInitTest, ThreadsAreTheCores) {
  for (const int cores : {1, 2, 13, 128}) {
    EXPECT_EQ(ReadBack({cores, 8 * kGiB}, std::nullopt).llama_cpp.n_threads, cores);
  }
}

TEST(ConfigInitTest, AnyMachineGetsAFileThatIsRight) {
  for (const int cores : {1, 2, 64, 1024}) {
    for (const std::int64_t memory : {std::int64_t{0}, std::int64_t{1} << 20, std::int64_t{200} << 20, kGiB, 7 * kGiB, 4096 * kGiB}) {
      for (const int trained : {0, 1, 128, 512, 2048, 131072}) {
        for (const std::int64_t per_token : {0, 22 << 10, 512 << 10}) {
          const ServeOptions options = ReadBack({cores, memory}, ModelToServe{"a b: \"#", kGiB, trained, per_token});
          EXPECT_EQ(options.model.path, "a b: \"#");
          EXPECT_GE(options.llama_cpp.n_seq_max, 1);
          EXPECT_LE(options.llama_cpp.n_seq_max, 32);
          if (trained > 0) {
            EXPECT_LE(options.model.max_context_length, trained);
          }
        }
      }
      ReadBack({cores, memory}, std::nullopt);
    }
  }
}

// 4 GiB free, 1 GiB of weights: 1.5 GiB hold 24,576 tokens of 64 KiB.
TEST(ConfigInitTest, ContextAndRequestsFitIntoHalfOfWhatTheWeightsLeave) {
  const ServeOptions options = ReadBack({2, 4 * kGiB}, ModelToServe{"m.gguf", kGiB, 32768, 64 << 10});
  EXPECT_EQ(options.model.max_context_length, 4096);
  EXPECT_EQ(options.llama_cpp.n_seq_max, 6);
}

// 2 GiB hold 32,768 tokens: four contexts of 8,192.
TEST(ConfigInitTest, AContextWithRoomForFourRequestsIsNotHalved) {
  const ServeOptions options = ReadBack({2, 5 * kGiB}, ModelToServe{"m.gguf", kGiB, 8192, 64 << 10});
  EXPECT_EQ(options.model.max_context_length, 8192);
  EXPECT_EQ(options.llama_cpp.n_seq_max, 4);
}

TEST(ConfigInitTest, ALongContextIsChosenByNobodyButTheUser) {
  EXPECT_EQ(ReadBack({2, 4096 * kGiB}, ModelToServe{"m.gguf", kGiB, 131072, 64 << 10}).model.max_context_length, 8192);
}

// Of 4 GiB 2 are for weights; 1 GiB holds 8,192 tokens of 128 KiB.
TEST(ConfigInitTest, UnknownWeightsTakeAtMostHalfOfTheMemory) {
  const ServeOptions options = ReadBack({2, 4 * kGiB}, std::nullopt);
  EXPECT_EQ(options.model.max_context_length, 2048);
  EXPECT_EQ(options.llama_cpp.n_seq_max, 4);
}

TEST(ConfigInitTest, PlentyOfMemoryMeansAsManyAsTheCoresServe) {
  const ModelToServe small{"m.gguf", 100 << 20, 8192, 22 << 10};
  EXPECT_EQ(ReadBack({2, 64 * kGiB}, small).llama_cpp.n_seq_max, 8);
  EXPECT_EQ(ReadBack({1, 64 * kGiB}, small).llama_cpp.n_seq_max, 4);
  EXPECT_EQ(ReadBack({64, 64 * kGiB}, small).llama_cpp.n_seq_max, 32);
  EXPECT_EQ(ReadBack({64, 64 * kGiB}, small).model.max_context_length, 8192);
}

TEST(ConfigInitTest, LittleMemoryStillServesOne) {
  const ServeOptions options = ReadBack({2, kGiB}, ModelToServe{"m.gguf", 2 * kGiB, 8192, 64 << 10});
  EXPECT_EQ(options.model.max_context_length, 512);
  EXPECT_EQ(options.llama_cpp.n_seq_max, 1);
}

TEST(ConfigInitTest, TheReasonsNameTheFigures) {
  const std::vector<ChosenValue> chosen = ChooseSettings({2, 4 * kGiB}, ModelToServe{"m.gguf", kGiB, 32768, 64 << 10});
  const auto context = std::ranges::find(chosen, "model.max_context_length", &ChosenValue::key);
  ASSERT_NE(context, chosen.end());
  EXPECT_EQ(context->why,
            "of 4.0 GiB free memory the weights take 1.0 GiB, and half of the rest holds 24576 tokens at 64 KiB each. The "
            "model was trained for 32768 tokens.");
  for (const ChosenValue& value : ChooseSettings({2, 4 * kGiB}, std::nullopt)) EXPECT_FALSE(value.why.empty());
}

}  // namespace
}  // namespace cllm
