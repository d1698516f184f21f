// How far a transfer is: a bar for terminals, a few lines for everything else.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "hub/observer.h"

namespace cllm {

// "93.8 MiB", "512 B"
std::string FormatBytes(std::int64_t bytes);

// "0:07", "12:34", "1:02:03"; "--:--" from 100 hours on and for negative times.
std::string FormatDuration(double seconds);

struct ProgressView {
  std::string label;
  std::int64_t done = 0;
  std::int64_t total = -1;  // -1: not known, and then there is neither bar nor time left
  double rate = -1;         // bytes a second; negative: not known yet
};

// One line of at most `width` columns. What does not fit is left out: first the label's end, then sizes, rate, label
// and bar. `color` adds escape sequences, which take no columns.
std::string RenderProgress(const ProgressView& view, int width, bool color);

// Bytes a second over the last few seconds.
class RateMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  void Reset(Time now, std::int64_t bytes);
  void Add(Time now, std::int64_t bytes);
  double rate() const;  // negative until a moment has passed

 private:
  struct Sample {
    Time time;
    std::int64_t bytes;
  };
  std::deque<Sample> samples_;
};

// Where progress is shown.
struct ProgressOutput {
  bool terminal = false;
  bool color = false;
  std::function<int()> width;  // columns of the terminal, asked each time
  std::function<void(std::string_view)> write;
  std::function<RateMeter::Time()> now;
};

// On a terminal a bar that is drawn anew in its place; elsewhere a line at the start and one each tenth of the way.
class ProgressPrinter : public PullObserver {
 public:
  explicit ProgressPrinter(ProgressOutput output) : output_(std::move(output)) {}

  void Note(std::string_view line) override;
  void Begin(std::string_view label, std::int64_t done, std::int64_t total) override;
  void Progress(std::int64_t done, std::int64_t total) override;
  void End() override;

 private:
  void Draw();
  void PrintSparsely();

  ProgressOutput output_;
  ProgressView view_;
  RateMeter meter_;
  RateMeter::Time last_drawn_{};
  std::int64_t last_step_ = 0;  // of the sparse lines
  bool on_screen_ = false;      // a bar stands in the current line
};

// Says nothing at all.
class SilentObserver : public PullObserver {
 public:
  void Note(std::string_view) override {}
  void Begin(std::string_view, std::int64_t, std::int64_t) override {}
  void Progress(std::int64_t, std::int64_t) override {}
  void End() override {}
};

}  // namespace cllm
