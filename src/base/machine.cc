#include "base/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "base/cgroup.h"

namespace cllm {
namespace {

std::optional<cpu_set_t> Affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::nullopt;
  return set;
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

double Seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

}  // namespace

int CoresWithin(int affinity, std::optional<double> quota) {
  const double cores = std::min(static_cast<double>(affinity), std::floor(quota.value_or(affinity)));
  return std::max(1, static_cast<int>(cores));
}

int AvailableCores() {
  const auto affinity = Affinity();
  return CoresWithin(affinity ? CPU_COUNT(&*affinity) : static_cast<int>(std::thread::hardware_concurrency()), CgroupProcessors());
}

std::optional<ProcessorTimes> ReadProcessorTimes() {
  const auto affinity = Affinity();
  std::ifstream file("/proc/stat");
  const double tick_s = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const bool is_nice = getpriority(PRIO_PROCESS, 0) > 0;
  ProcessorTimes times;
  for (std::string line; std::getline(file, line) && line.starts_with("cpu");) {
    int processor = -1;
    std::array<long long, 8> ticks{};  // user, nice, system, idle, waiting for devices, interrupts of two kinds, stolen
    auto& [user, nice, system, idle, waiting, hard, soft, stolen] = ticks;
    if (std::sscanf(line.c_str(), "cpu%d %lld %lld %lld %lld %lld %lld %lld %lld", &processor, &user, &nice, &system, &idle, &waiting,
                    &hard, &soft, &stolen) < 9) {
      continue;  // their sum
    }
    if (affinity && (processor >= CPU_SETSIZE || !CPU_ISSET(processor, &*affinity))) continue;
    ++times.processors;
    times.busy_s += static_cast<double>(user + (is_nice ? nice : 0) + system + hard + soft + stolen) * tick_s;
  }
  rusage usage{};
  if (times.processors == 0 || times.busy_s == 0 || getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  times.own_s = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  return times;
}

std::int64_t AvailableMemoryBytes() {
  const std::int64_t available = MemInfoAvailableBytes();
  return std::min(available, CgroupFreeBytes().value_or(available));
}

std::int64_t ResidentMemoryBytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGE_SIZE);
}

}  // namespace cllm
