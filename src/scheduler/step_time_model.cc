#include "scheduler/step_time_model.h"

#include <algorithm>

namespace cllm {
namespace {

// A step's weight halves every 23 steps of its kind: long enough to average noise out.
constexpr double kDecay = 0.97;
// What was learned before the speed changed counts for this much: it is rescaled by a guess, and soon learned anew.
constexpr double kTrustAfterChange = 0.01;
// A change of speed below this is left to the fit.
constexpr double kLeastSpeedChange = 1.15;
// From the last solution, so few are enough; more would follow the noise.
constexpr int kRounds = 16;
constexpr int kHiddenRows = 4;

}  // namespace

void StepLoad::Add(int count, int computed, int outputs_of_it) {
  rows += count;
  chunks += count > 1 ? 1 : 0;
  attention += static_cast<double>(count) * (computed + (count + 1) / 2.0);
  context += computed;
  outputs += outputs_of_it;
}

StepTimeModel::Vector StepTimeModel::PartsOf(const StepLoad& load) {
  return {1.0,
          static_cast<double>(load.rows),
          static_cast<double>(std::max(0, load.rows - kHiddenRows)),
          static_cast<double>(load.chunks),
          load.attention,
          load.context,
          static_cast<double>(load.outputs)};
}

void StepTimeModel::Observe(const StepLoad& load, double seconds) {
  if (const double predicted = Predict(load); predicted > 0) FollowSpeed(seconds / predicted);
  // Relative to the time, so that a long step doesn't drown the short ones.
  Vector x = PartsOf(load);
  for (double& part : x) part /= seconds;
  (load.chunks > 0 ? chunk_steps_ : decode_steps_).Add(x);
  ++observations_;
  Solve();
}

void StepTimeModel::Evidence::Add(const Vector& x) {
  for (std::size_t i = 0; i < kParts; ++i) {
    for (std::size_t j = 0; j < kParts; ++j) products[i][j] = kDecay * products[i][j] + x[i] * x[j];
    targets[i] = kDecay * targets[i] + x[i];
  }
}

void StepTimeModel::Evidence::Rescale(double slowdown) {
  for (Vector& row : products) {
    for (double& product : row) product *= kTrustAfterChange / (slowdown * slowdown);
  }
  for (double& target : targets) target *= kTrustAfterChange / slowdown;
}

// The median: one page fault is no trend.
void StepTimeModel::FollowSpeed(double error) {
  errors_[errors_seen_++ % kSteps] = error;
  if (errors_seen_ < kSteps) return;
  auto sorted = errors_;
  std::ranges::nth_element(sorted, sorted.begin() + kSteps / 2);
  const double slowdown = sorted[kSteps / 2];
  if (slowdown < kLeastSpeedChange && slowdown > 1 / kLeastSpeedChange) return;
  decode_steps_.Rescale(slowdown);
  chunk_steps_.Rescale(slowdown);
  for (double& factor : factors_) factor *= slowdown;
  errors_seen_ = 0;
}

void StepTimeModel::Solve() {
  const auto product = [&](std::size_t i, std::size_t j) { return decode_steps_.products[i][j] + chunk_steps_.products[i][j]; };
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kParts; ++i) {
      if (product(i, i) <= 0) continue;  // never seen
      double residual = decode_steps_.targets[i] + chunk_steps_.targets[i];
      for (std::size_t j = 0; j < kParts; ++j) residual -= product(i, j) * factors_[j];
      factors_[i] = std::max(0.0, factors_[i] + residual / product(i, i));
    }
  }
}

double StepTimeModel::Predict(const StepLoad& load) const {
  const Vector x = PartsOf(load);
  double seconds = 0;
  for (std::size_t i = 0; i < kParts; ++i) seconds += x[i] * factors_[i];
  return seconds;
}

int StepTimeModel::RowsWithin(double target, const StepLoad& load, int computed, int most, bool is_scored) const {
  const auto fits = [&](int rows) {
    StepLoad with = load;
    with.Add(rows, computed, is_scored ? rows : rows == most ? 1 : 0);
    return Predict(with) <= target;
  };
  int fitting = 0;
  int beyond = most + 1;
  while (beyond - fitting > 1) {
    const int middle = fitting + (beyond - fitting) / 2;
    (fits(middle) ? fitting : beyond) = middle;
  }
  return fitting;
}

}  // namespace cllm
