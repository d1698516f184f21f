#include "sampling/token_window.h"

#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "sampling/sampling_params.h"

namespace cllm {
namespace {

// Counts the last `length` of `history` from scratch.
std::vector<TokenCount> Reference(const std::vector<std::int32_t>& history, std::int32_t length) {
  std::map<std::int32_t, std::int32_t> counts;
  const std::size_t seen = length == kWholeContext ? history.size() : static_cast<std::size_t>(length);
  const std::size_t first = history.size() > seen ? history.size() - seen : 0;
  for (std::size_t i = first; i < history.size(); ++i) ++counts[history[i]];
  std::vector<TokenCount> result;
  for (const auto& [token, count] : counts) result.push_back({token, count});
  return result;
}

std::vector<TokenCount> Counts(const TokenWindow& window) { return {window.counts().begin(), window.counts().end()}; }

TEST(TokenWindowTest, EqualsACountFromScratchAfterEveryToken) {
  std::mt19937 generator(1);
  for (const std::int32_t length : {0, 1, 2, 7, 64, kWholeContext}) {
    for (const std::size_t prompt_length : {0U, 1U, 6U, 7U, 8U, 200U}) {
      std::uniform_int_distribution<std::int32_t> token(0, 20);
      std::vector<std::int32_t> history(prompt_length);
      for (std::int32_t& t : history) t = token(generator);
      TokenWindow window(length);
      window.Push(history);
      ASSERT_EQ(Counts(window), Reference(history, length)) << length << " " << prompt_length;
      for (int i = 0; i < 200; ++i) {
        history.push_back(token(generator));
        window.Push(history.back());
        ASSERT_EQ(Counts(window), Reference(history, length)) << length << " " << prompt_length << " " << i;
      }
    }
  }
}

TEST(TokenWindowTest, ARunOntoAFilledWindow) {
  for (const std::int32_t length : {3, kWholeContext}) {
    std::vector<std::int32_t> history = {5, 5, 2, 9};
    TokenWindow window(length);
    window.Push(history);
    const std::vector<std::int32_t> more = {2, 2, 7, 1, 1};
    window.Push(more);
    history.insert(history.end(), more.begin(), more.end());
    EXPECT_EQ(Counts(window), Reference(history, length));
  }
}

}  // namespace
}  // namespace cllm
