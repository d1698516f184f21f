#include "engine/llamacpp/stream_origins.h"

#include <array>
#include <random>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(StreamOrigins, CopiesOfOneAreReadThere) {
  StreamOrigins origins(5);
  EXPECT_TRUE(origins.empty());
  origins.Copied(0, 1, 1000);
  origins.Copied(0, 2, 800);
  origins.Copied(2, 3, 500);
  EXPECT_FALSE(origins.empty());
  EXPECT_EQ(origins.SourceOf(1, 1000), 0);
  EXPECT_EQ(origins.SourceOf(1, 1001), 1);
  EXPECT_EQ(origins.SourceOf(2, 800), 0);
  EXPECT_EQ(origins.SourceOf(2, 900), 2);
  EXPECT_EQ(origins.SourceOf(3, 500), 0);
  EXPECT_EQ(origins.SourceOf(3, 501), 3);
  EXPECT_EQ(origins.SourceOf(4, 1), 4);
}

TEST(StreamOrigins, WhereTheSourceIsCutACopyBecomesTheSource) {
  StreamOrigins origins(4);
  origins.Copied(0, 1, 600);
  origins.Copied(0, 2, 1000);
  origins.Copied(0, 3, 900);
  origins.Cut(0, 256);
  for (int stream = 1; stream < 4; ++stream) EXPECT_EQ(origins.SourceOf(stream, 256), 0) << stream;
  EXPECT_EQ(origins.SourceOf(1, 600), 2);
  EXPECT_EQ(origins.SourceOf(3, 900), 2);
  EXPECT_EQ(origins.SourceOf(2, 257), 2);
  origins.Cut(0, 0);
  for (int stream = 1; stream < 4; ++stream) EXPECT_EQ(origins.SourceOf(stream, 256), 2) << stream;
  EXPECT_EQ(origins.SourceOf(0, 1), 0);
}

TEST(StreamOrigins, ACopyThatIsCutIsNoLongerReadElsewhere) {
  StreamOrigins origins(3);
  origins.Copied(0, 1, 600);
  origins.Cut(1, 300);
  EXPECT_EQ(origins.SourceOf(1, 300), 0);
  EXPECT_EQ(origins.SourceOf(1, 301), 1);
  origins.Cut(1, 0);
  EXPECT_TRUE(origins.empty());
}

TEST(StreamOrigins, AMoveTakesItsPartAlong) {
  StreamOrigins origins(5);
  origins.Copied(0, 1, 600);
  origins.Copied(1, 2, 700);
  origins.Moved(1, 4);
  EXPECT_EQ(origins.SourceOf(4, 600), 0);
  EXPECT_EQ(origins.SourceOf(2, 700), 4);
  EXPECT_EQ(origins.SourceOf(2, 600), 0);
  EXPECT_EQ(origins.SourceOf(1, 1), 1);
}

// Beside streams that really hold something: what it names always holds the same tokens.
TEST(StreamOrigins, NamesOnlyWhatHoldsTheSame) {
  constexpr int kStreams = 6, kTokens = 40;
  std::mt19937 random(7);
  const auto below = [&random](int limit) { return static_cast<int>(random() % limit); };
  std::array<std::vector<int>, kStreams> held;
  StreamOrigins origins(kStreams);
  int next = 0, shared = 0;
  for (int step = 0; step < 20'000; ++step) {
    const int stream = below(kStreams), other = below(kStreams);
    std::vector<int>& tokens = held[stream];
    switch (below(4)) {
      case 0:
        while (static_cast<int>(tokens.size()) < kTokens && below(8) > 0) tokens.push_back(next++);
        break;
      case 1:
        tokens.resize(below(static_cast<int>(tokens.size()) + 1));
        origins.Cut(stream, static_cast<int>(tokens.size()));
        break;
      default:
        if (stream == other || tokens.empty() || !held[other].empty()) {
          if (below(4) == 0) {
            tokens.clear();
            origins.Cut(stream, 0);
          }
          break;
        }
        if (below(4) == 0) {
          held[other].swap(tokens);
          origins.Moved(stream, other);
        } else {
          const int count = 1 + below(static_cast<int>(tokens.size()));
          held[other].assign(tokens.begin(), tokens.begin() + count);
          origins.Copied(stream, other, count);
        }
    }
    for (int s = 0; s < kStreams; ++s) {
      for (int count = 1; count <= static_cast<int>(held[s].size()); ++count) {
        const std::vector<int>& source = held[origins.SourceOf(s, count)];
        ASSERT_GE(static_cast<int>(source.size()), count) << step;
        ASSERT_TRUE(std::equal(source.begin(), source.begin() + count, held[s].begin())) << step;
        shared += origins.SourceOf(s, count) != s ? 1 : 0;
      }
    }
  }
  EXPECT_GT(shared, 50'000);
}

}  // namespace
}  // namespace cllm
