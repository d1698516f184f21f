// How long a step will take, learned from the steps before it.
//
// A step reads the weights once, computes its rows, reads the keys and values before them, attends over these for each row, and
// turns some rows into logits. Its time is fitted as a sum of such parts, each with a factor that isn't negative: least squares on relative
// errors, in which a step counts for less the longer ago it was (exponential forgetting), solved by a few rounds of
// coordinate descent from the last solution (non-negative least squares; V. Franc, V. Hlaváč, M. Navara 2005, "Sequential
// Coordinate-Wise Algorithm for the Non-negative Least Squares Problem").
//
// Two things keep it right while a server lives. Steps with prompt chunks and steps without are forgotten each at their own
// pace, so that a long answer doesn't wipe out what a chunk costs. And when the last few steps agree that the machine has
// become slower or faster, all that was learned is rescaled at once, long before every part has been seen again.
#pragma once

#include <array>
#include <cstddef>

namespace cllm {

// What a step has to do, as far as its time depends on it.
struct StepLoad {
  int rows = 0;          // tokens that are computed
  int chunks = 0;        // sequences with more than one row: some engines compute these in a pass of their own
  double attention = 0;  // token pairs: for each row the tokens before it
  double context = 0;    // tokens whose keys and values are read: for each sequence those before its rows
  int outputs = 0;       // rows whose logits are wanted

  // `count` rows of one sequence that has `computed` tokens already.
  void Add(int count, int computed, int outputs_of_it);
};

class StepTimeModel {
 public:
  // False before the first observation: then nothing can be predicted.
  bool known() const { return observations_ > 0; }

  // Whether steps with chunks and steps without have been seen, so that what a row costs is told apart from what a step costs.
  bool knows_rows() const { return chunk_steps_.targets[0] > 0 && decode_steps_.targets[0] > 0; }

  // The step took `seconds` > 0.
  void Observe(const StepLoad& load, double seconds);

  // Seconds; never falls when a part of the load grows.
  double Predict(const StepLoad& load) const;

  // How many more rows, 0 … `most`, of a sequence with `computed` tokens fit into a step that has `load` already, if it may
  // take `target` seconds. All `most` of them would want logits (the end of a prompt), or, of one that is scored, each.
  int RowsWithin(double target, const StepLoad& load, int computed, int most, bool is_scored = false) const;

 private:
  // On a CPU the first few rows of a step are hidden behind the reading of the weights.
  static constexpr std::size_t kParts = 7;  // once, rows, rows beyond the hidden ones, chunks, attention, context, outputs
  static constexpr std::size_t kSteps = 9;  // that have to agree, most of them
  using Vector = std::array<double, kParts>;
  struct Evidence {
    std::array<Vector, kParts> products{};  // decayed sum of x xᵀ / t²
    Vector targets{};                       // decayed sum of x / t
    void Add(const Vector& x);
    void Rescale(double slowdown);  // as if all its steps had taken that many times as long
  };
  static Vector PartsOf(const StepLoad& load);
  void FollowSpeed(double error);
  void Solve();

  Evidence decode_steps_;
  Evidence chunk_steps_;
  Vector factors_{};                     // seconds for one unit of each part
  std::array<double, kSteps> errors_{};  // of the last steps: time over prediction
  std::size_t errors_seen_ = 0;          // since they were last acted upon
  int observations_ = 0;
};

}  // namespace cllm
