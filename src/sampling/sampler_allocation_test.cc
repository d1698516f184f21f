// A step allocates nothing once its scratch has grown. Apart from the other tests because it counts every `new`.
#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "sampling/sampler.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

// Not inlined: GCC would see `free` next to a `new` that it does not know to be this one, and warn. The forms that do
// not throw are replaced, too, so that sanitizers see matching pairs.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace cllm {
namespace {

TEST(SamplerAllocationTest, AStepAllocatesNothing) {
  std::mt19937 generator(11);
  std::normal_distribution<float> normal(0.0F, 3.0F);
  std::vector<float> logits(20'000);
  for (float& logit : logits) logit = normal(generator);
  // More tokens than the window holds, all different, so that it is as large as it gets.
  std::vector<std::int32_t> prompt(100);
  std::iota(prompt.begin(), prompt.end(), 0);

  for (SamplingParams params :
       {SamplingParams{.temperature = 0.0}, SamplingParams{}, SamplingParams{.top_k = 0, .top_p = 0.5, .min_p = 0.0},
        SamplingParams{.top_k = 0, .top_p = 1.0, .min_p = 0.0}, SamplingParams{.allowed = {1, 2, 3, 500, 700}}}) {
    params.repetition_penalty = 1.2;
    params.logit_bias = {{5, 1.0F}};
    params.top_logprobs = 0;
    Sampler sampler(params, 0);
    sampler.Accept(prompt);
    for (const std::int32_t token : prompt) sampler.Accept(token);
    SamplerScratch scratch;
    std::uint64_t position = 0;
    const auto step = [&] { sampler.Accept(sampler.Sample(logits, position++, scratch)->token); };
    for (int i = 0; i < 200; ++i) step();
    const std::size_t before = allocations;
    for (int i = 0; i < 200; ++i) step();
    EXPECT_EQ(allocations, before);
  }
}

}  // namespace
}  // namespace cllm
