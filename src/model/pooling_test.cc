#include "model/pooling.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

ModelFacts PoolingFacts(bool generates, const std::string& pooling = {}, bool has_classifier = false) {
  ModelFacts facts;
  facts.architecture = generates ? "llama" : "bert";
  facts.generates = generates;
  facts.pooling = pooling;
  facts.has_classifier = has_classifier;
  return facts;
}

TEST(PoolingTest, AutoIsWhatTheFileSays) {
  EXPECT_EQ(ChoosePooling(PoolingFacts(true), "auto"), Pooling::kNone);
  EXPECT_EQ(ChoosePooling(PoolingFacts(true, "last"), "auto"), Pooling::kLast);
  EXPECT_EQ(ChoosePooling(PoolingFacts(false, "cls"), "auto"), Pooling::kCls);
  EXPECT_EQ(ChoosePooling(PoolingFacts(false, "rank", true), "auto"), Pooling::kRank);
}

TEST(PoolingTest, AModelThatCanOnlyEmbedAlwaysDoes) {
  EXPECT_EQ(ChoosePooling(PoolingFacts(false), "auto"), Pooling::kMean);
  EXPECT_EQ(ChoosePooling(PoolingFacts(false, "none"), "auto"), Pooling::kMean);
  EXPECT_EQ(ChoosePooling(PoolingFacts(false), "none").error().field, "model.pooling");
}

TEST(PoolingTest, ANameIsObeyedWhereItCanBe) {
  EXPECT_EQ(ChoosePooling(PoolingFacts(true), "mean"), Pooling::kMean);
  EXPECT_EQ(ChoosePooling(PoolingFacts(true, "last"), "none"), Pooling::kNone);
  EXPECT_EQ(ChoosePooling(PoolingFacts(false, "mean"), "cls"), Pooling::kCls);
  EXPECT_FALSE(ChoosePooling(PoolingFacts(true), "cls"));
  EXPECT_FALSE(ChoosePooling(PoolingFacts(true), "rank"));
  EXPECT_EQ(ChoosePooling(PoolingFacts(true, {}, true), "rank"), Pooling::kRank);
}

TEST(PoolingTest, SaysWhatAModelCanDo) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(CapabilityNames(PoolingFacts(true), Pooling::kNone), Names{"completion"});
  EXPECT_EQ(CapabilityNames(PoolingFacts(true), Pooling::kMean), (Names{"completion", "embedding"}));
  EXPECT_EQ(CapabilityNames(PoolingFacts(false), Pooling::kCls), Names{"embedding"});
  EXPECT_EQ(CapabilityNames(PoolingFacts(false), Pooling::kRank), Names{"rerank"});
}

TEST(PoolingTest, EachHasItsName) {
  for (const char* name : {"none", "mean", "cls", "last"}) EXPECT_EQ(PoolingName(*ChoosePooling(PoolingFacts(name[0] != 'c'), name)), name);
}

}  // namespace
}  // namespace cllm
