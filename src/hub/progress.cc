#include "hub/progress.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/columns.h"
#include "base/escape.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::chrono::milliseconds kRedraw(100);
constexpr std::chrono::seconds kRateWindow(5);
constexpr double kLeastRateTime = 0.3;                         // seconds before a rate means something
constexpr std::int64_t kSparseStep = std::int64_t{100} << 20;  // where the total is unknown
constexpr int kShortestBar = 10;
constexpr int kLongestBar = 40;
constexpr std::size_t kShortLabel = 20;
constexpr std::string_view kGreen = "\033[32m";
constexpr std::string_view kPlain = "\033[0m";
constexpr std::string_view kClearLine = "\r\033[K";

// Text of at most `most` columns; of characters with two columns fewer, since they have more bytes.
std::string ShortLabel(std::string_view label, std::size_t most) { return Shortened(label, label.size() <= most ? most : most - 1); }

int Percent(const ProgressView& view) {
  if (view.total <= 0) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(view.done, 0, view.total) * 100 / view.total);
}

std::string Bar(const ProgressView& view, int cells, bool color) {
  const int filled =
      static_cast<int>(static_cast<double>(std::clamp<std::int64_t>(view.done, 0, view.total)) / static_cast<double>(view.total) * cells);
  std::string done(static_cast<std::size_t>(filled), '=');
  if (filled < cells) done += '>';
  const std::string rest(static_cast<std::size_t>(std::max(0, cells - filled - 1)), ' ');
  return color ? fmt::format("[{}{}{}{}]", kGreen, done, kPlain, rest) : fmt::format("[{}{}]", done, rest);
}

std::string Sizes(const ProgressView& view) {
  if (view.total < 0) return "  " + FormatBytes(view.done);
  std::string done = FormatBytes(view.done);
  const std::string total = FormatBytes(view.total);
  const std::string unit = total.substr(total.find(' '));
  if (done.ends_with(unit)) done.resize(done.size() - unit.size());
  return fmt::format("  {}/{}", done, total);
}

std::string Rate(const ProgressView& view) {
  return view.rate < 0 ? std::string() : fmt::format("  {}/s", FormatBytes(static_cast<std::int64_t>(view.rate)));
}

std::string TimeLeft(const ProgressView& view) {
  if (view.total < 0 || view.rate <= 0) return {};
  return fmt::format("  {} left", FormatDuration(static_cast<double>(view.total - view.done) / view.rate));
}

// What is left out, step by step, as the line gets narrower.
struct Layout {
  std::size_t label;
  bool sizes, rate, left, bar;
};
constexpr std::array<Layout, 7> kLayouts = {{{60, true, true, true, true},
                                             {kShortLabel, true, true, true, true},
                                             {kShortLabel, false, true, true, true},
                                             {kShortLabel, false, false, true, true},
                                             {0, false, false, true, true},
                                             {0, false, false, true, false},
                                             {0, false, false, false, false}}};

}  // namespace

std::string FormatBytes(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  constexpr double kLongest = 100.0 * 3600;
  if (!(seconds >= 0) || seconds >= kLongest) return "--:--";
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string RenderProgress(const ProgressView& view, int width, bool color) {
  for (const Layout& layout : kLayouts) {
    std::string head = layout.label == 0 ? std::string() : ShortLabel(view.label, layout.label);
    if (view.total >= 0) head += fmt::format("{}{:>3} %", head.empty() ? "" : " ", Percent(view));
    std::string tail;
    if (layout.sizes || view.total < 0) tail += Sizes(view);
    if (layout.rate) tail += Rate(view);
    if (layout.left) tail += TimeLeft(view);
    const int used = static_cast<int>(Columns(head) + tail.size());
    const bool bar = layout.bar && view.total > 0;
    constexpr int kAroundBar = 3;  // a blank and two brackets
    const int cells = std::min(kLongestBar, width - used - kAroundBar);
    if (bar && cells >= kShortestBar) return fmt::format("{} {}{}", head, Bar(view, cells, color), tail);
    if (!bar && used <= width) return head + tail;
  }
  return {};
}

void RateMeter::Reset(Time now, std::int64_t bytes) { samples_ = {{now, bytes}}; }

void RateMeter::Add(Time now, std::int64_t bytes) {
  samples_.push_back({now, bytes});
  while (samples_.size() > 2 && now - samples_[1].time > kRateWindow) samples_.pop_front();
}

double RateMeter::rate() const {
  if (samples_.size() < 2) return -1;
  const double time = std::chrono::duration<double>(samples_.back().time - samples_.front().time).count();
  if (time < kLeastRateTime) return -1;
  return static_cast<double>(samples_.back().bytes - samples_.front().bytes) / time;
}

void ProgressPrinter::Note(std::string_view line) {
  output_.write(fmt::format("{}{}\n", on_screen_ ? kClearLine : "", Escaped(line)));
  on_screen_ = false;
}

void ProgressPrinter::Begin(std::string_view label, std::int64_t done, std::int64_t total) {
  view_ = {.label = Escaped(label), .done = done, .total = total};
  const auto now = output_.now();
  meter_.Reset(now, done);
  if (output_.terminal) {
    Draw();
    last_drawn_ = now;
    return;
  }
  last_step_ = total > 0 ? done * 10 / total : done / kSparseStep;
  const std::string size = total < 0 ? "size unknown" : FormatBytes(total);
  output_.write(done > 0 ? fmt::format("fetching {} ({}, going on at {})\n", view_.label, size, FormatBytes(done))
                         : fmt::format("fetching {} ({})\n", view_.label, size));
}

void ProgressPrinter::Progress(std::int64_t done, std::int64_t total) {
  view_.done = done;
  view_.total = total;
  const auto now = output_.now();
  if (now - last_drawn_ < kRedraw) return;
  last_drawn_ = now;
  meter_.Add(now, done);
  view_.rate = meter_.rate();
  if (output_.terminal) {
    Draw();
  } else {
    PrintSparsely();
  }
}

void ProgressPrinter::End() {
  if (!output_.terminal) return;
  view_.rate = meter_.rate();
  Draw();
  output_.write("\n");
  on_screen_ = false;
}

// The last column stays empty: some terminals wrap when it is written.
void ProgressPrinter::Draw() {
  output_.write(fmt::format("{}{}", kClearLine, RenderProgress(view_, output_.width() - 1, output_.color)));
  on_screen_ = true;
}

void ProgressPrinter::PrintSparsely() {
  const std::int64_t step = view_.total > 0 ? view_.done * 10 / view_.total : view_.done / kSparseStep;
  if (step <= last_step_ || view_.done == view_.total) return;
  last_step_ = step;
  constexpr int kSparseWidth = 200;
  ProgressView plain = view_;
  if (view_.total < 0) {
    output_.write(fmt::format("{}\n", RenderProgress(plain, kSparseWidth, false)));
    return;
  }
  output_.write(fmt::format("{} {} %{}{}{}\n", view_.label, Percent(view_), Sizes(view_), Rate(view_), TimeLeft(view_)));
}

}  // namespace cllm
