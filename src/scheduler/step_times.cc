#include "scheduler/step_times.h"

namespace cllm {
namespace {

StepLoad Sum(const StepLoad& a, const StepLoad& b) {
  return {a.rows + b.rows, a.chunks + b.chunks, a.attention + b.attention, a.context + b.context, a.outputs + b.outputs};
}

}  // namespace

void StepTimes::Observe(const MixedLoad& load, double seconds, double prompt_seconds) {
  if (prompts_apart_ && load.decodes.rows == 0) {
    prompts_.Observe(load.prompts, seconds);
  } else if (prompts_apart_ && prompt_seconds > 0 && prompt_seconds < seconds) {
    prompts_.Observe(load.prompts, prompt_seconds);
    together_.Observe(load.decodes, seconds - prompt_seconds);
  } else {
    together_.Observe(Sum(load.decodes, load.prompts), seconds);
  }
}

double StepTimes::Predict(const MixedLoad& load) const {
  if (load.prompts.rows == 0 || !PromptsAreApart()) return together_.Predict(Sum(load.decodes, load.prompts));
  return PredictDecodes(load) + prompts_.Predict(load.prompts);
}

double StepTimes::PredictDecodes(const MixedLoad& load) const { return load.decodes.rows > 0 ? together_.Predict(load.decodes) : 0; }

double StepTimes::PredictMore(int computed, int known) const {
  StepLoad load;
  load.Add(known - computed, computed, 0);
  return OfPrompts().Predict(load) - OfPrompts().Predict({});
}

double StepTimes::PredictLeast() const {
  StepLoad load;
  load.Add(1, 0, 1);
  return OfPrompts().Predict(load);
}

int StepTimes::RowsWithin(double target, const MixedLoad& load, int computed, int most, bool is_scored) const {
  if (!PromptsAreApart()) return together_.RowsWithin(target, Sum(load.decodes, load.prompts), computed, most, is_scored);
  return prompts_.RowsWithin(target - PredictDecodes(load), load.prompts, computed, most, is_scored);
}

}  // namespace cllm
