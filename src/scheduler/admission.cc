#include "scheduler/admission.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace cllm {
namespace {

// What the time before one admission keeps of its weight after it: about the last 30 count. Places come free in bursts
// (requests that began together end together), and several bursts must count.
constexpr double kKept = 1 - 1.0 / 30;
constexpr double kLongestRetryAfter = 600;

}  // namespace

void DrainRate::Record(int starts, bool others_waited, TimePoint now) {
  if (starts > 0 && others_waited) {
    const double kept = std::pow(kKept, starts);
    seconds_ = kept * seconds_ + std::chrono::duration<double>(now - last_start_).count();
    starts_ = kept * starts_ + starts;
  }
  if (starts > 0 || !others_waited) last_start_ = now;
}

Status CheckRoom(const AdmissionLimits& limits, int open, double seconds_per_start, double timeout_s, double next_place_s) {
  const int waiting = open - limits.max_running;
  if (waiting < 0) return {};
  const double expected_s = open * seconds_per_start;
  const bool is_full = waiting >= limits.max_queue;
  if (!is_full && expected_s <= timeout_s) return {};
  std::string message = fmt::format("{} requests run and {} wait already", limits.max_running, waiting);
  if (!is_full) message += fmt::format(", for about {:.0f} s in all, and this one may take {:g} s", expected_s, timeout_s);
  Error error{ErrorCode::kQueueFull, message + ": try again later", {}};
  const double retry_after_s = std::ceil(std::max(waiting * seconds_per_start, next_place_s));
  error.retry_after_s = static_cast<int>(std::clamp(retry_after_s, 1.0, kLongestRetryAfter));
  return std::unexpected(std::move(error));
}

}  // namespace cllm
