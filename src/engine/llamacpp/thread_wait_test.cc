// How ggml's threads wait for each other (scripts/patches/llama.cpp/bounded-waits.patch).
#include <memory>
#include <thread>

#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

namespace cllm {
namespace {

struct FreePool {
  void operator()(ggml_context* context) const { ggml_free(context); }
};

long Sleeps() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

// Computes `operations` operations, of which each needs the one before, with two threads on one core.
void ComputeOnOneCore(int operations) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int core = 0;
  while (!CPU_ISSET(core, &allowed)) ++core;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);  // of this thread, and of those that it starts

  const std::unique_ptr<ggml_context, FreePool> context(ggml_init({.mem_size = 16 << 20, .mem_buffer = nullptr, .no_alloc = false}));
  ggml_tensor* sum = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, 16, 16);
  ggml_set_zero(sum);
  for (int i = 0; i < operations; ++i) sum = ggml_add(context.get(), sum, sum);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, sum);
  ASSERT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, 2), GGML_STATUS_SUCCESS);
}

// Looking at the barrier for the whole time slice, they would take a slice for each operation and never sleep. (That they sleep at
// once, and don't look for a while before, only a clock could tell.)
TEST(ThreadWait, ThreadsThatShareACoreSleepAtBarriers) {
  constexpr int kOperations = 400;
  const long before = Sleeps();
  std::thread([] { ComputeOnOneCore(kOperations); }).join();
  EXPECT_GT(Sleeps() - before, kOperations / 2);
}

}  // namespace
}  // namespace cllm
