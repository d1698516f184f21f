#include "cost/counter.h"

#include <cstdlib>
#include <new>

namespace {

// The compiler's calls and the allocator's have no other place to go to.
thread_local cllm::Cost counted;

void* Allocate(std::size_t bytes) {
  counted.allocated += static_cast<std::int64_t>(bytes);
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

extern "C" void __sanitizer_cov_trace_pc();
extern "C" void __sanitizer_cov_trace_pc() { ++counted.steps; }

void* operator new(std::size_t bytes) { return Allocate(bytes); }
void* operator new[](std::size_t bytes) { return Allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace cllm {

Cost CostOf(const std::function<void()>& work) {
  const Cost before = counted;
  work();
  return {.steps = counted.steps - before.steps, .allocated = counted.allocated - before.allocated};
}

}  // namespace cllm
