#include "engine/llamacpp/thread_choice.h"

#include <map>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Seconds = std::chrono::duration<double>;

TEST(ThreadCandidates, AreAllCoresThreeQuartersHalfAndAQuarter) {
  EXPECT_EQ(ThreadCandidates(16), (std::vector<int>{16, 12, 8, 4}));
  EXPECT_EQ(ThreadCandidates(4), (std::vector<int>{4, 3, 2, 1}));
  EXPECT_EQ(ThreadCandidates(3), (std::vector<int>{3, 2, 1}));
  EXPECT_EQ(ThreadCandidates(2), (std::vector<int>{2, 1}));
  EXPECT_EQ(ThreadCandidates(1), (std::vector<int>{1}));
}

TEST(ChooseThreadCount, TakesTheFastest) {
  const std::map<int, double> seconds{{16, 0.020}, {12, 0.011}, {8, 0.010}};
  EXPECT_EQ(ChooseThreadCount({16, 12, 8}, [&](int threads) { return Seconds{seconds.at(threads)}; }), 8);
}

TEST(ChooseThreadCount, KeepsAllCoresWhereFewerAreHardlyFaster) {
  EXPECT_EQ(ChooseThreadCount({4, 3, 2}, [](int threads) { return Seconds{threads == 4 ? 0.0100 : 0.0094}; }), 4);
  EXPECT_EQ(ChooseThreadCount({4, 3, 2}, [](int threads) { return Seconds{threads == 4 ? 0.0100 : 0.0092}; }), 3);
}

TEST(ChooseThreadCount, IgnoresRoundsThatSomethingElseDisturbed) {
  std::map<int, int> calls;
  const auto time_step = [&](int threads) { return Seconds{++calls[threads] == 3 ? 0.001 * (3 - threads) : 0.1}; };
  EXPECT_EQ(ChooseThreadCount({2, 1}, time_step), 2);
}

TEST(ChooseThreadCount, EndsAfterASecondWithAllTimedEquallyOften) {
  std::map<int, int> calls;
  EXPECT_EQ(ChooseThreadCount({2, 1}, [&](int threads) { return ++calls[threads], Seconds{0.3 * threads}; }), 1);
  EXPECT_EQ(calls, (std::map<int, int>{{1, 2}, {2, 2}}));
  calls.clear();
  EXPECT_EQ(ChooseThreadCount({2, 1}, [&](int threads) { return ++calls[threads], Seconds{0.001 * threads}; }), 1);
  EXPECT_EQ(calls, (std::map<int, int>{{1, 4}, {2, 4}}));
}

TEST(ChooseThreadCount, DoesNotTimeTheOnlyCandidate) {
  EXPECT_EQ(ChooseThreadCount({1}, [](int) { return ADD_FAILURE(), Seconds{0}; }), 1);
}

}  // namespace
}  // namespace cllm
