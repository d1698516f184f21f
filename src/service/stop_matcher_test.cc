#include "service/stop_matcher.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::shared_ptr<const StopStrings> Stops(const std::vector<std::string>& strings) { return std::make_shared<const StopStrings>(strings); }

// Pushes one character at a time and returns what came out before the end.
std::string CharByChar(StopMatcher& matcher, std::string_view text) {
  std::string out;
  for (const char c : text) out += matcher.Push(std::string_view(&c, 1));
  return out;
}

TEST(StopMatcherTest, PassesEverythingWithoutStops) {
  StopMatcher matcher(nullptr);
  EXPECT_EQ(matcher.Push("abc"), "abc");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcherTest, IncludesTheStopOnlyWhereThatIsWanted) {
  for (const bool whole : {true, false}) {
    StopMatcher matcher(Stops({"ab", "###"}), true);
    const std::string text = "one##two###three";
    EXPECT_EQ(whole ? matcher.Push(text) : CharByChar(matcher, text), "one##two###");
    EXPECT_EQ(matcher.Push("more"), "");
  }
}

TEST(StopMatcherTest, CutsAtTheStopHoweverItArrives) {
  for (const bool whole : {true, false}) {
    StopMatcher matcher(Stops({"###"}));
    const std::string text = "one##two###three";
    EXPECT_EQ(whole ? matcher.Push(text) : CharByChar(matcher, text), "one##two");
    EXPECT_TRUE(matcher.matched());
    EXPECT_EQ(matcher.Push("more"), "");
    EXPECT_EQ(matcher.Finish(), "");
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher(Stops({"\n\nUser:", "END"}));
  EXPECT_EQ(matcher.Push("hello\n"), "hello");
  EXPECT_EQ(matcher.Push("\nUs"), "");
  EXPECT_EQ(matcher.Push("age E"), "\n\nUsage ");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.Finish(), "E");
}

TEST(StopMatcherTest, FindsAStopThatOverlapsItself) {
  StopMatcher matcher(Stops({"aab"}));
  EXPECT_EQ(CharByChar(matcher, "aaab"), "a");
  EXPECT_TRUE(matcher.matched());
}

TEST(StopMatcherTest, TakesTheFirstOfSeveralStops) {
  StopMatcher matcher(Stops({"ca", "ab"}));
  EXPECT_EQ(matcher.Push("xxabca"), "xx");
}

TEST(StopMatcherTest, TheStopThatIsCompleteFirstCountsHoweverTheTextArrives) {
  for (const bool whole : {true, false}) {
    const auto text_of = [whole](const std::vector<std::string>& stops, const std::string& text, bool include = false) {
      StopMatcher matcher(Stops(stops), include);
      const std::string decided = whole ? matcher.Push(text) : CharByChar(matcher, text);
      return decided + (matcher.matched() ? "|" : "") + matcher.Finish();
    };
    EXPECT_EQ(text_of({"abcd", "bc"}, "xabcdx"), "xa|");
    EXPECT_EQ(text_of({"bc", "abc"}, "xabcx"), "x|") << "of two that end together the longer one";
    EXPECT_EQ(text_of({"ab", "abc"}, "xabcx", true), "xab|");
    EXPECT_EQ(text_of({"aaaab", "aab"}, "aaaaaab"), "aa|");
    EXPECT_EQ(text_of({"abab", "bab"}, "ababab"), "|");
    EXPECT_EQ(text_of({"x", "x"}, "yyx"), "yy|") << "one that is there twice";
    EXPECT_EQ(text_of({"\xF0\x9F\x98\x80"}, "a\xF0\x9F\x98\x81z"), "a\xF0\x9F\x98\x81z") << "bytes above 127";
  }
}

// Against a search for every string at every place.
TEST(StopMatcherTest, FindsWhatASearchFinds) {
  std::uint64_t state = 1;
  const auto draw = [&state](std::uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33U) % below;
  };
  const auto word = [&draw](std::size_t most) {
    std::string letters(1 + draw(most), 'a');
    for (char& letter : letters) letter = static_cast<char>('a' + draw(2));
    return letters;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (std::uint64_t i = draw(5); i > 0; --i) stops.push_back(word(6));
    const std::string text = word(30);
    std::string expected = text;
    for (std::size_t end = 1; end <= text.size() && expected.size() == text.size(); ++end) {
      std::size_t longest = 0;
      for (const std::string& stop : stops) {
        if (std::string_view(text).substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
      }
      if (longest > 0) expected = text.substr(0, end - longest);
      if (longest > 0) break;
    }
    StopMatcher matcher(Stops(stops));
    std::string found;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = 1 + draw(5);
      found += matcher.Push(std::string_view(text).substr(at, length));
      at += length;
    }
    EXPECT_EQ(found + matcher.Finish(), expected) << text;
  }
}

}  // namespace
}  // namespace cllm
