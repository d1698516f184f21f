#include "scheduler/step_time_model.h"

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using TrueTime = std::function<double(const StepLoad&)>;

struct Shape {
  const char* name;
  TrueTime seconds;
};

// From a small CPU, whose chunks are a pass of their own, to a GPU, on which rows cost nearly nothing.
std::vector<Shape> Shapes() {
  return {
      {"two cores",
       [](const StepLoad& l) {
         return 0.028 + 0.006 * std::max(0, l.rows - 4) + 1e-6 * l.attention + 0.001 * l.outputs + 0.02 * l.chunks;
       }},
      {"small model", [](const StepLoad& l) { return 0.002 + 0.0003 * l.rows + 2e-8 * l.attention + 0.0002 * l.outputs; }},
      {"GPU", [](const StepLoad& l) { return 0.010 + 0.00004 * l.rows + 1e-9 * l.attention; }},
      {"long context", [](const StepLoad& l) { return 0.03 + 0.002 * std::max(0, l.rows - 4) + 4e-6 * l.attention; }},
      {"keys read once a chunk",
       [](const StepLoad& l) { return 0.005 + 0.0007 * l.rows + 5e-7 * l.attention + 4e-6 * l.context + 0.002 * l.chunks; }},
      {"weights behind rows", [](const StepLoad& l) { return std::max(0.03, 0.0075 * l.rows) + 1e-6 * l.attention; }},
  };
}

// Four to eight streams that decode, and a long prompt now and then, whose chunks are as long as the model lets them be in
// three times the time of a step without.
class Workload {
 public:
  explicit Workload(const Shape& shape, unsigned seed) : shape_(shape), random_(seed) {}

  // Runs `steps` steps at `slowness`; afterwards `quality` has, for each chunk that was chosen, the prompt's progress in a
  // second of it over that of the best chunk, and `overrun` the step's time over its target.
  void Run(int steps, double slowness) {
    quality.clear();
    overrun.clear();
    for (int step = 0; step < steps; ++step) {
      StepLoad load = Decodes();
      if (left_ == 0 && Uniform(0, 1) < 0.1) left_ = static_cast<int>(Uniform(100, 3000)), computed_ = 0;
      if (left_ > 0) {
        const int rows = model_.known() ? Choose(load, slowness) : std::min(left_, kMostRows);
        load.Add(rows, computed_, rows == left_);
        computed_ += rows;
        left_ -= rows;
      }
      model_.Observe(load, slowness * shape_.seconds(load) * Uniform(0.9, 1.1));
    }
  }

  std::vector<double> quality;
  std::vector<double> overrun;

 private:
  static constexpr int kLeastRows = 8;
  static constexpr int kMostRows = 512;
  static constexpr double kTargetOverDecodes = 3;

  double Uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }

  StepLoad Decodes() {
    StepLoad load;
    for (int& context : contexts_) {
      context = Uniform(0, 1) < 0.01 ? static_cast<int>(Uniform(10, 800)) : context + 1;
      load.Add(1, context, 1);
    }
    if (Uniform(0, 1) < 0.02) contexts_.resize(static_cast<std::size_t>(Uniform(4, 9)), 100);
    return load;
  }

  int Choose(const StepLoad& decodes, double slowness) {
    const int most = std::min(left_, kMostRows);
    const int chosen = std::clamp(model_.RowsWithin(kTargetOverDecodes * model_.Predict(decodes), decodes, computed_, most),
                                  std::min(kLeastRows, most), most);
    const double target = kTargetOverDecodes * shape_.seconds(decodes) * slowness;
    const auto time = [&](int rows) {
      StepLoad load = decodes;
      load.Add(rows, computed_, rows == left_);
      return slowness * shape_.seconds(load);
    };
    int best = std::min(kLeastRows, most);
    while (best < most && time(best + 1) <= target) ++best;
    overrun.push_back(time(chosen) / std::max(target, time(std::min(kLeastRows, most))));
    quality.push_back((chosen / time(chosen)) / (best / time(best)));
    return chosen;
  }

  Shape shape_;
  std::mt19937 random_;
  StepTimeModel model_;
  std::vector<int> contexts_ = {50, 300, 500, 700};
  int left_ = 0;
  int computed_ = 0;
};

double Quantile(std::vector<double> values, double at) {
  std::ranges::sort(values);
  return values.at(static_cast<std::size_t>(at * static_cast<double>(values.size() - 1)));
}

// "Within 10 % of the best": nine of ten chunks, so that one page fault is no failure.
void ExpectGoodChoices(const Workload& workload, const char* when) {
  ASSERT_GE(workload.quality.size(), 20U) << when;
  EXPECT_GE(Quantile(workload.quality, 0.1), 0.9) << when;
  EXPECT_LE(Quantile(workload.overrun, 0.9), 1.1) << when;
}

TEST(StepTimeModelTest, ChoicesAreCloseToTheBestAlsoWhenTheSpeedChanges) {
  for (const Shape& shape : Shapes()) {
    for (const unsigned seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
      SCOPED_TRACE(shape.name + std::string(", seed ") + std::to_string(seed));
      Workload workload(shape, seed);
      workload.Run(300, 1);
      workload.Run(600, 1);
      ExpectGoodChoices(workload, "at first");
      workload.Run(300, 2);
      workload.Run(600, 2);
      ExpectGoodChoices(workload, "after the engine has become slower");
      workload.Run(300, 0.5);
      workload.Run(600, 0.5);
      ExpectGoodChoices(workload, "after it has become faster");
    }
  }
}

TEST(StepTimeModelTest, ALongAnswerDoesNotWipeOutWhatAChunkCosts) {
  const TrueTime seconds = Shapes()[0].seconds;
  StepTimeModel model;
  for (int step = 0; step < 200; ++step) {
    StepLoad load;
    for (int i = 0; i < 1 + step % 8; ++i) load.Add(1, 100 + step, 1);
    if (step % 2 == 0) load.Add(10 + step, 50 * (step % 10), step % 4 == 0);
    model.Observe(load, seconds(load));
  }
  StepLoad chunk;
  chunk.Add(1, 400, 1);
  chunk.Add(100, 300, 0);
  EXPECT_NEAR(model.Predict(chunk) / seconds(chunk), 1, 0.03);
  StepLoad decode;
  decode.Add(1, 400, 1);
  std::mt19937 random(5);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  for (int step = 0; step < 5000; ++step) model.Observe(decode, seconds(decode) * noise(random));
  EXPECT_NEAR(model.Predict(chunk) / seconds(chunk), 1, 0.15);
}

TEST(StepTimeModelTest, OneSlowStepIsNoTrend) {
  StepTimeModel model;
  StepLoad load;
  load.Add(1, 100, 1);
  for (int step = 0; step < 100; ++step) model.Observe(load, 0.01);
  model.Observe(load, 10);
  EXPECT_LE(model.Predict(load), 0.0115);
}

// As an engine does that tries another number of threads: fewer than half of any nine steps are twice as slow.
TEST(StepTimeModelTest, StepsThatAreSlowerInTurnWithOthersAreNoTrend) {
  StepTimeModel model;
  StepLoad load;
  load.Add(1, 100, 1);
  for (int step = 0; step < 300; ++step) model.Observe(load, 0.01);
  for (int step = 0; step < 50; ++step) {
    model.Observe(load, step % 5 < 3 ? 0.01 : 0.02);
    EXPECT_NEAR(model.Predict(load), 0.01, 0.0015) << step;
  }
  for (int step = 0; step < 50; ++step) model.Observe(load, 0.01);
  EXPECT_NEAR(model.Predict(load), 0.01, 0.0005);
}

TEST(StepTimeModelTest, RowsWithinATargetAreTheMostThatFit) {
  StepTimeModel model;
  EXPECT_FALSE(model.known());
  for (int step = 0; step < 300; ++step) {
    StepLoad load;
    load.Add(1 + step % 50, 0, step % 2 == 0);
    model.Observe(load, 0.001 * load.rows);
  }
  EXPECT_TRUE(model.known());
  const StepLoad none;
  EXPECT_NEAR(model.RowsWithin(0.02, none, 0, 512), 20, 1);
  EXPECT_EQ(model.RowsWithin(10, none, 0, 30), 30);
  EXPECT_EQ(model.RowsWithin(0, none, 0, 30), 0);
  StepLoad half;
  half.Add(10, 0, 0);
  EXPECT_NEAR(model.RowsWithin(0.02, half, 0, 512), 10, 1);
}

TEST(StepLoadTest, AttentionCountsThePairsOfTokens) {
  StepLoad load;
  load.Add(1, 10, 1);
  EXPECT_EQ(load.attention, 11);
  load.Add(3, 2, 0);
  EXPECT_EQ(load.attention, 11 + 3 + 4 + 5);
  EXPECT_EQ(load.context, 10 + 2);
  EXPECT_EQ(load.rows, 4);
  EXPECT_EQ(load.chunks, 1);
  EXPECT_EQ(load.outputs, 1);
}

}  // namespace
}  // namespace cllm
