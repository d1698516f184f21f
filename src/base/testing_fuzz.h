// What fuzz targets ask of the code that they feed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace cllm {

inline void Require(bool holds) {
  if (!holds) std::abort();
}

// Runs `read` on an input of `bytes`. Taking far more time than such an input is worth is a finding: the bounds leave room for a build
// with sanitizers on a slow machine, and what takes time by the square of 64 KiB exceeds them.
template <typename Read>
void RequireCheap(std::size_t bytes, const Read& read) {
  constexpr double kAnyInput_s = 0.25;
  constexpr double kEachByte_s = 10e-6;
  const auto now = [] {
    std::timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double before = now();
  read();
  const double taken = now() - before;
  if (taken <= kAnyInput_s + kEachByte_s * static_cast<double>(bytes)) return;
  std::fprintf(stderr, "%zu bytes took %.3f s\n", bytes, taken);
  std::abort();
}

}  // namespace cllm
