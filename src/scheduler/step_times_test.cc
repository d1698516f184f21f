#include "scheduler/step_times.h"

#include <random>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// Two passes, each over the weights; a token before a chunk costs a quarter of one before a decode.
double DecodeSeconds(const StepLoad& load) { return 0.003 + 0.0002 * load.rows + 1e-6 * load.context; }
double PromptSeconds(const StepLoad& load) { return 0.002 + 0.0003 * load.rows + 2.5e-7 * (load.context + load.attention); }

MixedLoad Decodes(int context) {
  MixedLoad load;
  for (int i = 0; i < 4; ++i) load.decodes.Add(1, context, 1);
  return load;
}

// Four streams decode; for 600 steps a prompt is computed beside them, in chunks that become smaller.
class StepTimesTest : public testing::Test {
 protected:
  void Run(StepTimes& times, bool says_prompt_seconds) {
    std::uniform_real_distribution<double> noise(0.95, 1.05);
    for (; context_ < 300; ++context_) {
      const MixedLoad load = Decodes(context_);
      times.Observe(load, DecodeSeconds(load.decodes) * noise(random_), 0);
    }
    for (int step = 0; step < 600; ++step, ++context_) {
      MixedLoad load = Decodes(context_);
      const int rows = 2 + 4000 / (400 + computed_);
      load.prompts.Add(rows, computed_, 0);
      const double prompt = PromptSeconds(load.prompts) * noise(random_);
      times.Observe(load, DecodeSeconds(load.decodes) * noise(random_) + prompt, says_prompt_seconds ? prompt : 0);
      computed_ += rows;
    }
  }

  std::mt19937 random_{3};
  int context_ = 50;
  int computed_ = 0;
};

TEST_F(StepTimesTest, KnowsWhatDecodesTakeAfterManyStepsBesideAPrompt) {
  StepTimes times(true);
  EXPECT_FALSE(times.known());
  Run(times, true);
  EXPECT_TRUE(times.known());
  MixedLoad load = Decodes(context_);
  const double decodes = DecodeSeconds(load.decodes);
  EXPECT_NEAR(times.Predict(load) / decodes, 1, 0.03);
  load.prompts.Add(4, computed_, 0);
  EXPECT_NEAR(times.Predict(load) / (decodes + PromptSeconds(load.prompts)), 1, 0.03);
}

TEST_F(StepTimesTest, APromptAloneIsAPassOverPrompts) {
  StepTimes times(true);
  for (int step = 1; step < 200; ++step) {
    MixedLoad load;
    load.prompts.Add(step % 50 + 2, 100 * (step % 7), 0);
    times.Observe(load, PromptSeconds(load.prompts), 0);
    load = Decodes(100 + step);
    times.Observe(load, DecodeSeconds(load.decodes), 0);
  }
  MixedLoad load = Decodes(300);
  load.prompts.Add(20, 500, 0);
  EXPECT_NEAR(times.Predict(load) / (DecodeSeconds(load.decodes) + PromptSeconds(load.prompts)), 1, 0.02);
}

TEST_F(StepTimesTest, RowsFillWhatTheDecodesLeave) {
  StepTimes times(true);
  Run(times, true);
  const MixedLoad load = Decodes(context_);
  const double target = 2 * DecodeSeconds(load.decodes);
  const int rows = times.RowsWithin(target, load, computed_, 512);
  MixedLoad with = load;
  with.prompts.Add(rows, computed_, 0);
  EXPECT_NEAR((DecodeSeconds(with.decodes) + PromptSeconds(with.prompts)) / target, 1, 0.15);
  EXPECT_EQ(times.RowsWithin(0, load, computed_, 512), 0);
  EXPECT_EQ(times.RowsWithin(1e9, load, computed_, 512), 512);
}

TEST_F(StepTimesTest, AnEngineOfOnePassHasOneModel) {
  StepTimes times(false);
  Run(times, false);
  MixedLoad load = Decodes(context_);
  load.prompts.Add(4, computed_, 0);
  EXPECT_NEAR(times.Predict(load) / (DecodeSeconds(load.decodes) + PromptSeconds(load.prompts)), 1, 0.05);
}

// The first prompt comes when only decodes were seen: it is thought to cost what rows of decodes do.
TEST_F(StepTimesTest, BeforeTheFirstPassOverPromptsTheirRowsAreThoughtOfAsDecodes) {
  StepTimes times(true);
  for (int step = 0; step < 100; ++step) {
    MixedLoad load;
    for (int i = 0; i <= step % 8; ++i) load.decodes.Add(1, 10, 1);
    times.Observe(load, DecodeSeconds(load.decodes), 0);
  }
  const MixedLoad load = Decodes(10);
  EXPECT_GT(times.RowsWithin(2 * DecodeSeconds(load.decodes), load, 0, 512), 2);
  EXPECT_LT(times.RowsWithin(2 * DecodeSeconds(load.decodes), load, 0, 512), 40);
}

TEST_F(StepTimesTest, MoreRowsCostWhatTheyAddToAStep) {
  for (const bool apart : {true, false}) {
    StepTimes times(apart);
    Run(times, apart);
    StepLoad rows;
    rows.Add(20, computed_, 0);
    const double added = PromptSeconds(rows) - PromptSeconds({});
    EXPECT_NEAR(times.PredictMore(computed_, computed_ + 20) / added, 1, 0.3) << apart;
    EXPECT_GT(times.PredictLeast(), 0.001);
    EXPECT_LT(times.PredictLeast(), 0.006);
  }
}

TEST_F(StepTimesTest, RowsAreToldFromStepsOnceBothKindsWereSeen) {
  for (const bool apart : {true, false}) {
    StepTimes times(apart);
    MixedLoad prompt;
    prompt.prompts.Add(30, 0, 1);
    times.Observe(prompt, 0.02, 0);
    EXPECT_FALSE(times.knows_rows());
    const MixedLoad decodes = Decodes(30);
    times.Observe(decodes, DecodeSeconds(decodes.decodes), 0);
    EXPECT_TRUE(times.knows_rows());
  }
}

// A plan may put a prompt's last token among the decodes.
TEST_F(StepTimesTest, AStepOfOnePassIsObservedAsAWhole) {
  StepTimes times(true);
  MixedLoad load = Decodes(10);
  load.prompts.Add(1, 100, 1);
  times.Observe(load, 0.01, 0);
  EXPECT_NEAR(times.Predict(load), 0.01, 1e-3);
}

}  // namespace
}  // namespace cllm
