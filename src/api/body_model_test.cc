#include "api/body_model.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(BodyModelTest, TheOutermostModelCounts) {
  EXPECT_EQ(ModelOfBody(R"({"model": "a"})"), "a");
  EXPECT_EQ(ModelOfBody(R"({"prompt": "\"model\": \"x\"", "model" : "a:b", "n": 1})"), "a:b");
  EXPECT_EQ(ModelOfBody(R"({"messages": [{"model": "x", "content": "{"}], "options": {"model": "y"}, "model": "a"})"), "a");
  EXPECT_EQ(ModelOfBody(R"({"model": "a", "tools": [{"model": "x"}]})"), "a");
  EXPECT_EQ(ModelOfBody(R"({"a": "model", "b": "x"})"), "");
  EXPECT_EQ(ModelOfBody(R"({"a": ["model", "x"]})"), "");
  EXPECT_EQ(ModelOfBody("{}"), "");
}

TEST(BodyModelTest, ItIsReadAsTheDialectsReadIt) {
  EXPECT_EQ(ModelOfBody(R"({"model": "a", "model": "b"})"), "b");
  EXPECT_EQ(ModelOfBody(R"({"model": "a", "model": null})"), "");
  EXPECT_EQ(ModelOfBody(R"({"m\u006fdel": "\u0061\n"})"), "a\n");
  EXPECT_EQ(ModelOfBody(R"({"model": ["a"]})"), "");
  EXPECT_EQ(ModelOfBody(R"({"model": {"model": "a"}, "b": "c"})"), "");
  EXPECT_EQ(ModelOfBody(R"({"model": 1, "x": "a"})"), "");
}

TEST(BodyModelTest, ATextThatIsTooLongIsNotTakenForNone) {
  EXPECT_EQ(ModelOfBody("{\"model\": \"" + std::string(1 << 20, 'x') + "\"}"), std::string(4096, 'x'));
}

TEST(BodyModelTest, WhatIsNoObjectHasNone) {
  for (const char* body :
       {"", "[", "\"model\"", "[\"model\", \"a\"]", "{\"model\": \"a", "{\"model", "{\"model\": \"\\", "]]}{\"model\":1"}) {
    EXPECT_EQ(ModelOfBody(body), "") << body;
  }
  EXPECT_EQ(ModelOfBody(std::string(1 << 22, '[')), "");
}

}  // namespace
}  // namespace cllm
