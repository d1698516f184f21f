#include "hub/progress.h"

#include <algorithm>
#include <regex>

#include <gtest/gtest.h>

#include "base/columns.h"

namespace cllm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kMiB = 1 << 20;

TEST(Progress, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(98362432), "93.8 MiB");
  EXPECT_EQ(FormatBytes(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(std::int64_t{5} << 30), "5.0 GiB");
}

TEST(Progress, Durations) {
  EXPECT_EQ(FormatDuration(0), "0:00");
  EXPECT_EQ(FormatDuration(6.2), "0:07");
  EXPECT_EQ(FormatDuration(754), "12:34");
  EXPECT_EQ(FormatDuration(3723), "1:02:03");
  EXPECT_EQ(FormatDuration(1e9), "--:--");
  EXPECT_EQ(FormatDuration(-1), "--:--");
  EXPECT_EQ(FormatDuration(0.0 / 0.0), "--:--");
}

const ProgressView kHalf{.label = "SmolLM2-135M-Instruct.Q4_1.gguf", .done = 50 * kMiB, .total = 100 * kMiB, .rate = 5.0 * kMiB};

TEST(Progress, LinesAtFixedWidths) {
  EXPECT_EQ(RenderProgress(kHalf, 120, false),
            "SmolLM2-135M-Instruct.Q4_1.gguf  50 % [====================>                   ]  50.0/100.0 MiB  5.0 MiB/s  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 80, false), "SmolLM2-135M-Instru…  50 % [======>      ]  50.0/100.0 MiB  5.0 MiB/s  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 60, false), "SmolLM2-135M-Instru…  50 % [==========>         ]  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 50, false), "SmolLM2-135M-Instru…  50 % [=====>    ]  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 30, false), " 50 % [=====>     ]  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 17, false), " 50 %  0:10 left");
  EXPECT_EQ(RenderProgress(kHalf, 5, false), " 50 %");
  EXPECT_EQ(RenderProgress(kHalf, 4, false), "");
}

TEST(Progress, NoLineIsWiderThanTheTerminal) {
  for (const std::int64_t total : {std::int64_t{-1}, 100 * kMiB}) {
    for (const double rate : {-1.0, 0.0, 5.0 * kMiB}) {
      for (int width = 0; width < 200; ++width) {
        const ProgressView view{.label = std::string(70, 'm'), .done = 50 * kMiB, .total = total, .rate = rate};
        EXPECT_LE(Columns(RenderProgress(view, width, false)), static_cast<std::size_t>(width));
      }
    }
  }
}

TEST(Progress, ColorChangesNoColumn) {
  const std::string colored = RenderProgress(kHalf, 80, true);
  EXPECT_NE(colored.find("\033[32m"), std::string::npos);
  EXPECT_EQ(std::regex_replace(colored, std::regex("\033\\[[0-9]*m"), ""), RenderProgress(kHalf, 80, false));
}

TEST(Progress, Ends) {
  ProgressView view = kHalf;
  view.done = 0;
  view.rate = -1;
  EXPECT_EQ(RenderProgress(view, 60, false), "SmolLM2-135M-Instru…   0 % [>               ]  0 B/100.0 MiB");
  view.done = view.total;
  EXPECT_NE(RenderProgress(view, 80, false).find("100 % [=="), std::string::npos);
  EXPECT_EQ(RenderProgress(view, 80, false).find('>'), std::string::npos);
  view.done = view.total + 1;  // more than was said: no bar beyond its end
  EXPECT_NE(RenderProgress(view, 80, false).find("100 %"), std::string::npos);
}

TEST(Progress, WithoutATotalThereIsNoBar) {
  EXPECT_EQ(RenderProgress({.label = "m.gguf", .done = 3 * kMiB, .total = -1, .rate = kMiB}, 80, false), "m.gguf  3.0 MiB  1.0 MiB/s");
}

TEST(RateMeter, LastSecondsCount) {
  RateMeter meter;
  const RateMeter::Time start{};
  meter.Reset(start, 1000);
  EXPECT_LT(meter.rate(), 0);
  meter.Add(start + milliseconds(100), 2000);
  EXPECT_LT(meter.rate(), 0) << "too early to say";
  meter.Add(start + seconds(1), 11'000);
  EXPECT_DOUBLE_EQ(meter.rate(), 10'000) << "what was there before the start is no speed";
  for (int i = 2; i <= 20; ++i) meter.Add(start + seconds(i), 11'000);
  EXPECT_DOUBLE_EQ(meter.rate(), 0) << "a stall shows";
}

class PrinterTest : public ::testing::Test {
 protected:
  ProgressPrinter Make(bool terminal) {
    return ProgressPrinter({.terminal = terminal,
                            .color = false,
                            .width = [this] { return width_; },
                            .write = [this](std::string_view text) { out_ += text; },
                            .now = [this] { return now_; }});
  }
  std::string Take() { return std::exchange(out_, {}); }

  int width_ = 61;
  std::string out_;
  RateMeter::Time now_{seconds(100)};
};

TEST_F(PrinterTest, ATerminalGetsABarInItsPlace) {
  ProgressPrinter printer = Make(true);
  printer.Begin("m.gguf", 0, 100 * kMiB);
  EXPECT_EQ(Take(), "\r\033[Km.gguf   0 % [>                             ]  0 B/100.0 MiB");
  printer.Progress(kMiB, 100 * kMiB);
  EXPECT_EQ(Take(), "") << "not ten times a millisecond";
  now_ += seconds(1);
  printer.Progress(50 * kMiB, 100 * kMiB);
  EXPECT_EQ(Take(), "\r\033[Km.gguf  50 % [===========>          ]  50.0 MiB/s  0:01 left");
  width_ = 21;
  now_ += seconds(1);
  printer.Progress(100 * kMiB, 100 * kMiB);
  EXPECT_EQ(Take(), "\r\033[K100 %  0:00 left") << "the width is asked each time";
  printer.End();
  EXPECT_TRUE(Take().ends_with("\n"));
}

TEST_F(PrinterTest, NotesDoNotLandInTheBar) {
  ProgressPrinter printer = Make(true);
  printer.Note("first");
  EXPECT_EQ(Take(), "first\n");
  printer.Begin("m.gguf", 0, 100);
  Take();
  printer.Note("second");
  EXPECT_EQ(Take(), "\r\033[Ksecond\n");
}

TEST_F(PrinterTest, ElsewhereALineEachTenth) {
  ProgressPrinter printer = Make(false);
  printer.Begin("m.gguf", 0, 1000 * kMiB);
  for (int i = 1; i <= 1000; ++i) {
    now_ += seconds(1);
    printer.Progress(i * kMiB, 1000 * kMiB);
  }
  printer.End();
  const std::string out = Take();
  EXPECT_EQ(std::ranges::count(out, '\n'), 10);
  EXPECT_TRUE(out.starts_with("fetching m.gguf (1000.0 MiB)\nm.gguf 10 %  100.0/1000.0 MiB  1.0 MiB/s  15:00 left\n"));
  EXPECT_EQ(out.find('\r'), std::string::npos);
  EXPECT_EQ(out.find('\033'), std::string::npos);
}

TEST_F(PrinterTest, ElsewhereGoingOnAndUnknownSizes) {
  ProgressPrinter printer = Make(false);
  printer.Begin("m.gguf", 95 * kMiB, 100 * kMiB);
  EXPECT_EQ(Take(), "fetching m.gguf (100.0 MiB, going on at 95.0 MiB)\n");
  now_ += seconds(1);
  printer.Progress(96 * kMiB, 100 * kMiB);
  EXPECT_EQ(Take(), "");
  printer.Begin("n.gguf", 0, -1);
  EXPECT_EQ(Take(), "fetching n.gguf (size unknown)\n");
  now_ += seconds(1);
  printer.Progress(150 * kMiB, -1);
  EXPECT_EQ(Take(), "n.gguf  150.0 MiB  150.0 MiB/s\n");
}

}  // namespace
}  // namespace cllm
