#include "base/machine.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

namespace cllm {
namespace {

TEST(Machine, QuotasRoundDownToOneCoreAtLeast) {
  EXPECT_EQ(CoresWithin(8, std::nullopt), 8);
  EXPECT_EQ(CoresWithin(8, 1.5), 1);
  EXPECT_EQ(CoresWithin(8, 1.999), 1);
  EXPECT_EQ(CoresWithin(8, 2.0), 2);
  EXPECT_EQ(CoresWithin(8, 0.3), 1);
  EXPECT_EQ(CoresWithin(2, 3.5), 2);
  EXPECT_EQ(CoresWithin(0, std::nullopt), 1);
  EXPECT_EQ(CoresWithin(2, 1e300), 2);
}

TEST(Machine, CoresAreThoseOfTheAffinity) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  EXPECT_LE(AvailableCores(), CPU_COUNT(&allowed));
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;
  std::thread([first] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(AvailableCores(), 1);
    const auto times = ReadProcessorTimes();
    EXPECT_EQ(times ? times->processors : 1, 1);
  }).join();
}

TEST(Machine, OwnTimeIsAPartOfTheBusyTime) {
  const auto before = ReadProcessorTimes();
  if (!before) GTEST_SKIP() << "this system doesn't say what its processors do";
  rusage usage{};
  const auto own_s = [&] {
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  };
  const double until = own_s() + 0.2;
  while (own_s() < until) {
  }
  const auto after = ReadProcessorTimes();
  ASSERT_TRUE(after);
  EXPECT_GE(after->processors, 1);
  EXPECT_GE(after->own_s - before->own_s, 0.19);
  EXPECT_GE(after->busy_s - before->busy_s, 0.1);  // counted in ticks
}

}  // namespace
}  // namespace cllm
