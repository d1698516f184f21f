#include "scheduler/admission.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DrainRateTest, IsMeasuredOnlyWhileOthersWait) {
  DrainRate rate;
  TimePoint now{};
  rate.Record(3, false, now);
  rate.Record(1, false, now += seconds(100));
  EXPECT_EQ(rate.seconds_per_start(), 0);
  rate.Record(0, true, now += seconds(1));
  EXPECT_EQ(rate.seconds_per_start(), 0) << "nothing has started since";
  rate.Record(2, true, now += seconds(3));
  EXPECT_DOUBLE_EQ(rate.seconds_per_start(), 2) << "two in the four seconds since the last one";
  rate.Record(0, false, now += seconds(1000));
  rate.Record(1, true, now += seconds(2));
  EXPECT_DOUBLE_EQ(rate.seconds_per_start(), 2) << "the time without a queue doesn't count";
}

TEST(DrainRateTest, FollowsAChangeWithinAFewDozenStarts) {
  DrainRate rate;
  TimePoint now{};
  for (int i = 0; i < 150; ++i) rate.Record(1, true, now += seconds(1));
  EXPECT_NEAR(rate.seconds_per_start(), 1, 0.001);
  for (int i = 0; i < 150; ++i) rate.Record(1, true, now += milliseconds(100));
  EXPECT_NEAR(rate.seconds_per_start(), 0.1, 0.01);
}

TEST(DrainRateTest, BurstsCountByTheirSize) {
  DrainRate rate;
  TimePoint now{};
  for (int i = 0; i < 20; ++i) {
    rate.Record(1, true, now += seconds(1));
    rate.Record(7, true, now += milliseconds(100));
  }
  EXPECT_NEAR(rate.seconds_per_start(), 1.1 / 8, 0.03) << "eight in 1.1 s, however they come";
}

Error Refusal(int open, double seconds_per_start, double timeout_s, double next_place_s = 0) {
  const Status status = CheckRoom({.max_running = 4, .max_queue = 10}, open, seconds_per_start, timeout_s, next_place_s);
  return status ? Error{} : status.error();
}

TEST(CheckRoomTest, TheQueueIsBounded) {
  EXPECT_TRUE(CheckRoom({.max_running = 4, .max_queue = 10}, 13, 0, 60));
  const Error full = Refusal(14, 0, 60);
  EXPECT_EQ(full.code, ErrorCode::kQueueFull);
  EXPECT_EQ(full.message, "4 requests run and 10 wait already: try again later");
  EXPECT_EQ(full.retry_after_s, 1);
  EXPECT_EQ(Refusal(14, 2.5, 60).retry_after_s, 25) << "until what waits has started";
  EXPECT_EQ(Refusal(14, 1e6, 60).retry_after_s, 600);
  EXPECT_EQ(Refusal(14, 0, 60, 5.2).retry_after_s, 6) << "no place is free before";
  EXPECT_EQ(Refusal(14, 2.5, 60, 5.2).retry_after_s, 25);
  EXPECT_TRUE(CheckRoom({.max_running = 4, .max_queue = 0}, 3, 100, 1)) << "a free place is no queue";
  EXPECT_FALSE(CheckRoom({.max_running = 4, .max_queue = 0}, 4, 0, 60));
}

TEST(CheckRoomTest, WhoWouldEndTooLateIsRefusedAtOnce) {
  EXPECT_TRUE(CheckRoom({.max_running = 4, .max_queue = 10}, 8, 7.5, 60));
  const Error late = Refusal(8, 7.6, 60);
  EXPECT_EQ(late.code, ErrorCode::kQueueFull);
  EXPECT_EQ(late.message, "4 requests run and 4 wait already, for about 61 s in all, and this one may take 60 s: try again later");
  EXPECT_EQ(late.retry_after_s, 31);
}

}  // namespace
}  // namespace cllm
