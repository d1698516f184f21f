#include "engine/llamacpp/thread_choice.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "base/invariant.h"

namespace cllm {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr int kRounds = 4;
constexpr Seconds kMostTime{1.0};
// Fewer threads have to save this share of a step.
constexpr double kClearSaving = 0.07;

}  // namespace

std::vector<int> ThreadCandidates(int cores) {
  std::vector<int> candidates;
  for (const int threads : {cores, cores * 3 / 4, cores / 2, cores / 4}) {
    if (threads >= 1 && (candidates.empty() || threads < candidates.back())) candidates.push_back(threads);
  }
  return candidates;
}

int ChooseThreadCount(const std::vector<int>& candidates, const std::function<Seconds(int threads)>& time_step) {
  CheckInvariant(!candidates.empty(), "there is a number of threads to choose");
  if (candidates.size() == 1) return candidates.front();
  std::vector<Seconds> best(candidates.size(), Seconds{std::numeric_limits<double>::infinity()});
  Seconds spent{0};
  for (int round = 0; round < kRounds && spent < kMostTime; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Seconds taken = time_step(candidates[i]);
      spent += taken;
      best[i] = std::min(best[i], taken);
    }
  }
  const auto fastest = std::ranges::min_element(best);
  const bool clear = *fastest < best.front() * (1 - kClearSaving);
  return clear ? candidates[static_cast<std::size_t>(fastest - best.begin())] : candidates.front();
}

}  // namespace cllm
