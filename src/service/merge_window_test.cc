#include "service/merge_window.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

using std::chrono::milliseconds;

TEST(MergeWindowTest, NeverWaitsForALoneClient) {
  MergeWindow window(milliseconds(500));
  EXPECT_EQ(window.Wait(), milliseconds(0));
  for (int i = 0; i < 10; ++i) window.RecordBurst(false, {});
  EXPECT_EQ(window.Wait(), milliseconds(0));
}

TEST(MergeWindowTest, WaitsOnceBurstsHaveSecondArrivals) {
  MergeWindow window(milliseconds(500));
  window.RecordBurst(true, milliseconds(2));
  EXPECT_EQ(window.Wait(), milliseconds(0)) << "one burst is no habit";
  window.RecordBurst(true, milliseconds(3));
  EXPECT_EQ(window.Wait(), milliseconds(6));
  window.RecordBurst(false, {});
  EXPECT_EQ(window.Wait(), milliseconds(0)) << "a lone request ends the habit";
}

TEST(MergeWindowTest, KeepsTheBound) {
  MergeWindow window(milliseconds(10));
  window.RecordBurst(true, milliseconds(8));
  window.RecordBurst(true, milliseconds(8));
  EXPECT_EQ(window.Wait(), milliseconds(10));
  window.RecordBurst(true, milliseconds(11));
  EXPECT_EQ(window.Wait(), milliseconds(0)) << "a second arrival beyond the bound can't be merged";
  MergeWindow off(milliseconds(0));
  off.RecordBurst(true, milliseconds(1));
  off.RecordBurst(true, milliseconds(1));
  EXPECT_EQ(off.Wait(), milliseconds(0));
}

}  // namespace
}  // namespace cllm
