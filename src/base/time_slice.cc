#include "base/time_slice.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace cllm {
namespace {

// Some three times the usual one. With 100 ms, the longest that Linux grants, a thread that woke at a bad moment waited for 20.
constexpr std::chrono::nanoseconds kLongSlice = std::chrono::milliseconds(10);

// struct sched_attr of the kernel's interface, first version (sched_setattr(2)); the C library has none.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // nanoseconds; with the usual policy the slice
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

std::optional<SchedulingAttributes> OwnAttributes() {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER) return std::nullopt;
  return attributes;
}

}  // namespace

void PreferLongTimeSlices() {
  std::optional<SchedulingAttributes> attributes = OwnAttributes();
  if (!attributes) return;
  attributes->size = sizeof *attributes;
  attributes->flags = 0;
  attributes->runtime = kLongSlice.count();
  syscall(SYS_sched_setattr, 0, &*attributes, 0);  // a wish: if it is refused, nothing changes
}

void StepBack() {
  constexpr int kSteps = 5;
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));  // Linux keeps it by thread, against POSIX
  setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + kSteps);
}

std::chrono::nanoseconds TimeSlice() {
  const std::optional<SchedulingAttributes> attributes = OwnAttributes();
  return std::chrono::nanoseconds(attributes ? attributes->runtime : 0);
}

}  // namespace cllm
