// What this process may use of the machine it runs on: the smaller of hardware, affinity and cgroup limits.
#pragma once

#include <cstdint>

namespace cllm {

// Processors that this process may run on, at least 1. A cgroup quota of 1.5 processors counts as 1.
int AvailableCores();

// Bytes that can still be allocated: the kernel's MemAvailable or what is left under the cgroup's limit.
std::int64_t AvailableMemoryBytes();

// Resident memory of this process in bytes.
std::int64_t ResidentMemoryBytes();

}  // namespace cllm
