// What this process may use of the machine it runs on: the smaller of hardware, affinity and cgroup limits.
#pragma once

#include <cstdint>
#include <optional>

namespace cllm {

// Whole processors that this process may keep busy, at least 1: a cgroup quota of 1.5 processors counts as 1.
int AvailableCores();

// That many of `affinity` processors under a quota.
int CoresWithin(int affinity, std::optional<double> quota);

// How long the processors that this process may run on have been busy, in seconds since some moment. Programs that were started with
// `nice` don't count, since they give way by themselves, unless this one was, too.
struct ProcessorTimes {
  int processors = 0;
  double busy_s = 0;  // all programs, and others' virtual machines
  double own_s = 0;   // of these, this process
};

// Nothing where the system doesn't say.
std::optional<ProcessorTimes> ReadProcessorTimes();

// Bytes that can still be allocated: the kernel's MemAvailable or what is left under the cgroup's limit.
std::int64_t AvailableMemoryBytes();

// Resident memory of this process in bytes.
std::int64_t ResidentMemoryBytes();

}  // namespace cllm
