// What the control groups of this process allow: those that it is in and all above them, of both versions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace cllm {

// Where the kernel says which groups there are; tests have files of their own.
struct CgroupSources {
  std::filesystem::path memberships = "/proc/self/cgroup";
  std::filesystem::path mounts = "/proc/self/mountinfo";
};

// Processors' worth of time, the tightest quota of all; nothing where none is set.
std::optional<double> CgroupProcessors(const CgroupSources& sources = {});

// What may still be allocated under the tightest memory limit; nothing where none is set. Cached files that nobody has touched lately
// count as free: the kernel gives them up first.
std::optional<std::int64_t> CgroupFreeBytes(const CgroupSources& sources = {});

}  // namespace cllm
