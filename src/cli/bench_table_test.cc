#include "cli/bench_table.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "api/json_object.h"

namespace cllm {
namespace {

BenchFacts Facts() {
  BenchFacts facts{.model = {}, .backend = "CPU", .threads = 2};
  facts.model.architecture = "llama";
  facts.model.quantization = "Q4_1";
  facts.model.weight_bytes = 96576768;
  facts.model.parameters = 134515008;
  return facts;
}

TEST(BenchTableTest, SummariseIsMeanAndDeviationOfTheSample) {
  const std::vector<double> samples = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(Summarise(samples).mean, 5);
  EXPECT_NEAR(Summarise(samples).deviation, 2.138089935, 1e-9);
  EXPECT_EQ(Summarise(std::vector<double>{3}).deviation, 0);
  EXPECT_EQ(Summarise({}).mean, 0);
}

TEST(BenchTableTest, RowsAreThoseOfLlamaBench) {
  const std::string rows = BenchTableRows(Facts(), {1, 128, 64, {500.126, 1.5}, {80, 0.25}});
  EXPECT_EQ(
      rows,
      "| llama Q4_1                     |  92.10 MiB |   134.52 M | CPU        |       2 |           pp128 |        500.13 ± 1.50 |\n"
      "| llama Q4_1                     |  92.10 MiB |   134.52 M | CPU        |       2 |            tg64 |         80.00 ± 0.25 |\n");
  EXPECT_NE(BenchTableRows(Facts(), {4, 128, 64, {}, {}}).find("|        pp128 x4 |"), std::string::npos);
}

// As wide as they are written, whatever the number of bytes of "±".
TEST(BenchTableTest, TheColumnsStandBelowEachOther) {
  BenchFacts facts = Facts();
  facts.model.weight_bytes = 5LL << 30;
  facts.model.parameters = 8'030'000'000;
  std::istringstream lines(BenchTableHead() + BenchTableRows(facts, {32, 100000, 64, {12345.6, 100}, {80, 0.25}}));
  std::vector<std::size_t> bars;
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::size_t> here;
    std::size_t column = 0;
    for (const char c : line) {
      if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
      if (c == '|') here.push_back(column);
      ++column;
    }
    if (bars.empty()) bars = here;
    EXPECT_EQ(here, bars) << line;
  }
  EXPECT_NE(BenchTableRows(facts, {}).find("|   5.00 GiB |     8.03 B |"), std::string::npos);
}

TEST(BenchTableTest, JsonIsOneObjectALine) {
  EXPECT_EQ(BenchJsonLine(Facts(), {4, 128, 64, {500.126, 1.5}, {80, 0.25}}),
            "{\"streams\":4,\"prompt_tokens_per_second\":500.13,\"generated_tokens_per_second\":80.00,\"prompt_deviation\":1.50,"
            "\"generated_deviation\":0.25,\"prompt_tokens\":128,\"generated_tokens\":64,\"model\":\"llama Q4_1\","
            "\"model_bytes\":96576768,\"model_parameters\":134515008,\"backend\":\"CPU\",\"threads\":2}\n");
}

// The architecture is text of a file from anywhere.
TEST(BenchTableTest, JsonIsValidWhateverTheArchitecture) {
  BenchFacts facts = Facts();
  facts.model.architecture = "a\"\\\n\x01\x7f\xff";
  const auto json = ParseJsonObject(BenchJsonLine(facts, {}));
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ(json->at("model"), "a\"\\\n\x01\x7f\uFFFD Q4_1");
}

}  // namespace
}  // namespace cllm
