#include "base/worker_pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <latch>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(WorkerPoolTest, RunsEveryJobEvenThoseStillQueuedAtTheEnd) {
  std::atomic<int> done = 0;
  {
    WorkerPool pool(2);
    for (int i = 0; i < 1000; ++i) pool.Post([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(WorkerPoolTest, RunsJobsSideBySide) {
  std::latch both(2);
  WorkerPool pool(2);
  pool.Post([&] { both.arrive_and_wait(); });
  pool.Post([&] { both.arrive_and_wait(); });
  both.wait();
}

TEST(WorkerPoolTest, StepsBackWhereThatIsWanted) {
  const auto nice_in = [](bool steps_back) {
    int nice = 0;
    {
      WorkerPool pool(1, steps_back);
      pool.Post([&nice] { nice = getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid))); });
    }
    return nice;
  };
  const int own = getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(nice_in(false), own);
  EXPECT_EQ(nice_in(true), std::min(own + 5, 19));
}

}  // namespace
}  // namespace cllm
