// How many threads compute, step by step, while other programs come and go.
//
// What others leave of the processors says which number is worth a try; the steps themselves say whether it is better. A try
// alternates between the number in use and the other one, a few steps each, and compares their times over what the scheduler expected
// of them, so steps need not be alike. Where the system says nothing of other programs, the neighbouring numbers are tried from time to
// time. In a quiet machine nothing is tried at all.
#pragma once

#include <optional>
#include <vector>

namespace cllm {

// Pure: times come in as seconds since any moment.
class ThreadController {
 public:
  // `candidates`: the numbers worth a try, falling, the first one for a machine without other programs. `threads` is the one of them
  // to begin with.
  ThreadController(std::vector<int> candidates, int threads, double now);

  // How many threads the step computes with that begins now.
  int Begin(double now);
  // That step is over. `expected`: how many seconds the scheduler thought that it would take; 0 where it didn't know.
  void End(double now, double expected);
  // Over the last `window` seconds other programs left `free` processors, on the average.
  void ObserveFree(double now, double window, double free);

  // Without those that are being tried.
  int threads() const { return threads_; }
  bool is_trying() const { return trial_.has_value(); }

 private:
  // Steps with one number of threads in a trial; a step's slowness is its time over the expected one.
  struct Arm {
    int steps = 0;
    double seconds = 0;
    double expected = 0;
    double least = 0;
    double most = 0;
    void Add(double step_seconds, double step_expected);
    double slowness() const { return seconds / expected; }
  };
  struct Trial {
    int threads = 0;
    int begun_steps = 0;
    double seconds = 0;        // of all its steps
    double other_seconds = 0;  // of those with `threads`
    Arm now_used = {};
    Arm other = {};
  };
  // When more (or fewer) threads may be tried next, how long after a try in vain that is, and the time that such tries have taken since.
  struct Direction {
    double due = 0;
    double delay = 0;
    double cost = 0;
  };
  enum class Verdict : unsigned char { kOpen, kBetter, kNotBetter };

  // Whether what others take is known; for a moment without news it is what it was.
  bool KnowsMachine(double now) const;
  // The most threads that the free processors have room for.
  int Fitting(double free) const;
  std::optional<int> NextToTry(double now) const;
  Direction& DirectionOf(int threads) { return threads > threads_ ? up_ : down_; }
  // The number `in_vain_` places after `threads` among the candidates, or the last one.
  int Below(int threads) const;
  Verdict Judge(const Trial& trial, double now) const;
  void Switch(double now, const Trial& trial);
  void GiveUp(double now, const Trial& trial);

  std::vector<int> candidates_;
  int threads_;
  int wanted_;       // what the machine has had room for, for a while
  int in_vain_ = 0;  // the numbers below it that were tried in vain since
  int lean_ = 0;     // whether it has room for fewer (-1) or more (1) threads than are used
  double lean_since_ = 0;
  double observed_at_;
  std::optional<Trial> trial_;
  Direction up_;
  Direction down_;
  double switched_at_;
  double delay_back_;  // after a change
  // Of the step in progress or the last one.
  double begun_at_ = 0;
  double ended_at_ = 0;
  bool counts_ = false;
  bool is_expected_ = false;
};

}  // namespace cllm
