#include "engine/llamacpp/processor_watch.h"

#include <algorithm>
#include <utility>

namespace cllm {
namespace {

constexpr double kLeastWindow = 1;  // seconds; the kernel counts in hundredths

}  // namespace

std::optional<ProcessorWatch::Window> ProcessorWatch::Look(double now) {
  if (looked_at_ && now - *looked_at_ < kLeastWindow) return std::nullopt;
  const auto before = std::exchange(times_, ReadProcessorTimes());
  const double begin = std::exchange(looked_at_, now).value_or(now);
  if (!before || !times_ || now <= begin) return std::nullopt;
  const double others = (times_->busy_s - before->busy_s) - (times_->own_s - before->own_s);
  const double processors = times_->processors;
  return Window{.seconds = now - begin, .free = std::clamp(processors - others / (now - begin), 0.0, processors)};
}

}  // namespace cllm
