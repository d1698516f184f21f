#include "base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

namespace cllm {
namespace {

std::optional<std::int64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or "max"
}

int CgroupQuotaCores() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (v2 >> quota >> period && period > 0) return std::max(1, static_cast<int>(quota / period));
  const auto v1_quota = ReadNumber("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  const auto v1_period = ReadNumber("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota && v1_period && *v1_quota > 0 && *v1_period > 0) {
    return std::max(1, static_cast<int>(*v1_quota / *v1_period));
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

std::int64_t MemInfoAvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::int64_t kibibytes = 0;
  for (std::string unit; file >> key >> kibibytes; std::getline(file, unit)) {
    if (key == "MemAvailable:") return kibibytes * 1024;
  }
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

}  // namespace

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  return std::max(1, std::min(cores, std::max(1, CgroupQuotaCores())));
}

std::int64_t AvailableMemoryBytes() {
  std::int64_t available = MemInfoAvailableBytes();
  const auto limit = [&](const char* max_path, const char* used_path) {
    const auto max = ReadNumber(max_path);
    const auto used = ReadNumber(used_path);
    if (max && used) available = std::min(available, std::max<std::int64_t>(0, *max - *used));
  };
  limit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current");
  limit("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes");
  return available;
}

std::int64_t ResidentMemoryBytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGE_SIZE);
}

}  // namespace cllm
