#include "models/model_names.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

ModelNames Names() {
  return *ModelNames::Create({{"smollm2-135m", {"gpt-4o-mini", "claude-*"}}, {"gemma:latest", {"*-haiku-*", "*"}}, {"qwen", {}}});
}

TEST(ModelNamesTest, APatternIsAnyTextAtEachStar) {
  EXPECT_TRUE(MatchesPattern("claude-3", "claude-*"));
  EXPECT_TRUE(MatchesPattern("claude-", "claude-*"));
  EXPECT_TRUE(MatchesPattern("a-b-c-b", "a*b"));
  EXPECT_TRUE(MatchesPattern("", "**"));
  EXPECT_TRUE(MatchesPattern("xaby", "*a*b*"));
  EXPECT_FALSE(MatchesPattern("claude", "claude-*"));
  EXPECT_FALSE(MatchesPattern("a-b-c", "a*b"));
  EXPECT_FALSE(MatchesPattern("x", ""));
}

TEST(ModelNamesTest, NamesGoBeforeAliasesAndTheseBeforePatterns) {
  const ModelNames names = Names();
  EXPECT_EQ(names.Find("smollm2-135m"), 0);
  EXPECT_EQ(names.Find("qwen"), 2);
  EXPECT_EQ(names.Find("gpt-4o-mini"), 0);
  EXPECT_EQ(names.Find("claude-haiku-4"), 0);
  EXPECT_EQ(names.Find("a-haiku-4"), 1);
  EXPECT_EQ(names.Find("claude"), 1);
  EXPECT_EQ(names.Find(""), 0);
}

TEST(ModelNamesTest, OllamasTagsAreUnderstood) {
  const ModelNames names = *ModelNames::Create({{"smollm2-135m", {}}, {"gemma:latest", {}}, {"qwen", {"fast"}}});
  EXPECT_EQ(names.Find("smollm2:135m"), 0);
  EXPECT_EQ(names.Find("smollm2-135m:latest"), 0);
  EXPECT_EQ(names.Find("gemma"), 1);
  EXPECT_EQ(names.Find("fast:latest"), 2);
  EXPECT_EQ(names.Find("qwen:7b").error().code, ErrorCode::kModelNotFound);
}

TEST(ModelNamesTest, AnUnknownNameSaysWhatThereIs) {
  const ModelNames names = *ModelNames::Create({{"a", {}}, {"b", {"c"}}});
  const Error error = names.Find("x").error();
  EXPECT_EQ(error.code, ErrorCode::kModelNotFound);
  EXPECT_EQ(error.message, "the model x is not served here; there is a, b");
  EXPECT_EQ(error.field, "model");
  EXPECT_LT(names.Find(std::string(1 << 20, 'x')).error().message.size(), 2000);
}

TEST(ModelNamesTest, NoNameHasTwoModels) {
  EXPECT_EQ(ModelNames::Create({{"a", {"b"}}, {"b", {}}}).error().message, "b names two models");
  EXPECT_FALSE(ModelNames::Create({{"a", {"a"}}}));
  EXPECT_FALSE(ModelNames::Create({{"", {}}}));
  EXPECT_FALSE(ModelNames::Create({{"a", {""}}}));
}

}  // namespace
}  // namespace cllm
