#include "base/time_slice.h"

#include <sys/resource.h>

#include <thread>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using std::chrono::milliseconds;

TEST(TimeSlice, IsLongForAThreadThatWishesItAndForThoseThatItStarts) {
  std::thread([] {
    if (TimeSlice() == milliseconds(0)) GTEST_SKIP() << "this system says nothing of slices (Linux before 6.12)";
    EXPECT_LT(TimeSlice(), milliseconds(10));
    PreferLongTimeSlices();
    EXPECT_EQ(TimeSlice(), milliseconds(10));
    std::thread([] { EXPECT_EQ(TimeSlice(), milliseconds(10)); }).join();
  }).join();
  EXPECT_LT(TimeSlice(), milliseconds(10)) << "that of another thread has changed";
}

TEST(TimeSlice, LeavesThePriorityAsItIs) {
  std::thread([] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, 0, 3), 0);
    PreferLongTimeSlices();
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 3);
  }).join();
}

}  // namespace
}  // namespace cllm
