// How long a step of decodes and prompts will take, for engines that compute both in one pass and for those that don't.
//
// An engine that computes prompts in a pass of their own says how long that took. Each pass then has a model of its own, which sees
// nothing but its own steps: while a long prompt is computed every step has both, and from their sum alone it can't be told what
// the decodes would take without.
#pragma once

#include "scheduler/step_time_model.h"

namespace cllm {

// What a step has to do.
struct MixedLoad {
  StepLoad decodes;
  StepLoad prompts;

  int rows() const { return decodes.rows + prompts.rows; }
};

class StepTimes {
 public:
  // `prompts_apart`: the engine computes prompts in a pass of their own wherever a step has both.
  explicit StepTimes(bool prompts_apart) : prompts_apart_(prompts_apart) {}

  // False before the first observation: then nothing can be predicted.
  bool known() const { return together_.known() || prompts_.known(); }

  // As StepTimeModel's.
  bool knows_rows() const { return prompts_apart_ ? together_.known() && prompts_.known() : together_.knows_rows(); }

  // The step took `seconds` > 0, of these `prompt_seconds` for a pass over prompts alone; 0 where there was one pass.
  void Observe(const MixedLoad& load, double seconds, double prompt_seconds);

  // Seconds; never falls when a part of the load grows.
  double Predict(const MixedLoad& load) const;

  // What the rows from `computed` to before `known` of a prompt add to a step that has other work, too; 0 where all of a step's time is
  // thought to be in what it takes without them.
  double PredictMore(int computed, int known) const;

  // A step with one row, and so what a step takes however little it does.
  double PredictLeast() const;

  // How many more rows, 0 … `most`, of a prompt with `computed` tokens fit into a step that has `load` already, if it may take
  // `target` seconds. All `most` of them would want logits (the end of a prompt), or, of one that is scored, each.
  int RowsWithin(double target, const MixedLoad& load, int computed, int most, bool is_scored = false) const;

 private:
  bool PromptsAreApart() const { return prompts_apart_ && prompts_.known(); }
  const StepTimeModel& OfPrompts() const { return PromptsAreApart() ? prompts_ : together_; }
  double PredictDecodes(const MixedLoad& load) const;

  bool prompts_apart_;
  StepTimeModel together_;  // passes with decodes
  StepTimeModel prompts_;   // passes over prompts alone
};

}  // namespace cllm
