#include "base/worker_pool.h"

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

}  // namespace
}  // namespace cllm
