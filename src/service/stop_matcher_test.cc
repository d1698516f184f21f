#include "service/stop_matcher.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

// Pushes one character at a time and returns what came out before the end.
std::string CharByChar(StopMatcher& matcher, std::string_view text) {
  std::string out;
  for (const char c : text) out += matcher.Push(std::string_view(&c, 1));
  return out;
}

TEST(StopMatcherTest, PassesEverythingWithoutStops) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.Push("abc"), "abc");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcherTest, IncludesTheStopOnlyWhereThatIsWanted) {
  for (const bool whole : {true, false}) {
    StopMatcher matcher({"ab", "###"}, true);
    const std::string text = "one##two###three";
    EXPECT_EQ(whole ? matcher.Push(text) : CharByChar(matcher, text), "one##two###");
    EXPECT_EQ(matcher.Push("more"), "");
  }
}

TEST(StopMatcherTest, CutsAtTheStopHoweverItArrives) {
  for (const bool whole : {true, false}) {
    StopMatcher matcher({"###"});
    const std::string text = "one##two###three";
    EXPECT_EQ(whole ? matcher.Push(text) : CharByChar(matcher, text), "one##two");
    EXPECT_TRUE(matcher.matched());
    EXPECT_EQ(matcher.Push("more"), "");
    EXPECT_EQ(matcher.Finish(), "");
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher({"\n\nUser:", "END"});
  EXPECT_EQ(matcher.Push("hello\n"), "hello");
  EXPECT_EQ(matcher.Push("\nUs"), "");
  EXPECT_EQ(matcher.Push("age E"), "\n\nUsage ");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.Finish(), "E");
}

TEST(StopMatcherTest, FindsAStopThatOverlapsItself) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(CharByChar(matcher, "aaab"), "a");
  EXPECT_TRUE(matcher.matched());
}

TEST(StopMatcherTest, TakesTheFirstOfSeveralStops) {
  StopMatcher matcher({"ca", "ab"});
  EXPECT_EQ(matcher.Push("xxabca"), "xx");
}

}  // namespace
}  // namespace cllm
