#include "base/text_trigger.h"

#include <gtest/gtest.h>

#include <string>

namespace cllm {
namespace {

constexpr std::size_t kNowhere = std::string::npos;

std::size_t Find(const TextTrigger& trigger, std::string_view text, bool is_beginning = true) {
  return FindTrigger(trigger, text, is_beginning).value_or(kNowhere);
}

TEST(TextTrigger, AWordStandsAnywhere) {
  const TextTrigger trigger{.words = {"<call>"}};
  EXPECT_EQ(Find(trigger, "<call>"), 0U);
  EXPECT_EQ(Find(trigger, "a <call><call>", false), 2U);
  EXPECT_EQ(Find(trigger, "a <cal"), kNowhere);
}

TEST(TextTrigger, SpacesMayStandBetweenWords) {
  const TextTrigger trigger{.words = {"{", "\"name\"", ":"}};
  EXPECT_EQ(Find(trigger, R"({"name":)"), 0U);
  EXPECT_EQ(Find(trigger, "{ {\n  \"name\" :"), 2U);
  EXPECT_EQ(Find(trigger, R"({,"name":)"), kNowhere);
  EXPECT_EQ(Find(trigger, "{" + std::string(kMostTriggerGap, ' ') + "\"name\":"), 0U);
  EXPECT_EQ(Find(trigger, "{" + std::string(kMostTriggerGap + 1, ' ') + "\"name\":"), kNowhere);
  EXPECT_LE(("{" + std::string(kMostTriggerGap, ' ') + "\"name\":").size(), MostTriggerBytes(trigger));
}

TEST(TextTrigger, WhatStandsBeforeItCounts) {
  const TextTrigger header{.words = {" to="}, .behind = "<start>", .begins = true};
  EXPECT_EQ(Find(header, " to=a to="), 0U);
  EXPECT_EQ(Find(header, " to=a", false), kNowhere);
  EXPECT_EQ(Find(header, "go to=a<start> to=", false), 14U);
  const TextTrigger beginning{.words = {"now\n"}, .begins = true};
  EXPECT_EQ(Find(beginning, "now\n"), 0U);
  EXPECT_EQ(Find(beginning, "now\n", false), kNowhere);
  EXPECT_EQ(Find(beginning, "a now\n"), kNowhere);
  EXPECT_EQ(Find({}, "a"), kNowhere);
}

}  // namespace
}  // namespace cllm
