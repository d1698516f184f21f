#include "models/model_slot.h"

#include <algorithm>
#include <utility>

namespace cllm {

ModelClock::time_point ModelSlot::ExpiresAt() const {
  const bool has_time = in_memory() && leases == 0 && !model.pinned && model.keep_alive_s > 0;
  return has_time ? last_used + ClockTime(model.keep_alive_s) : ModelClock::time_point::max();
}

double ModelSlot::SecondsLeft(ModelClock::time_point now) const {
  if (!in_memory() || model.pinned || model.keep_alive_s <= 0) return 0;
  const double idle_s = leases > 0 ? 0 : std::chrono::duration<double>(now - last_used).count();
  return std::max(0.001, model.keep_alive_s - idle_s);
}

ListedModel ModelSlot::Shown(ModelClock::time_point now) const {
  ListedModel listed = shown;
  listed.state = in_memory() && is_leaving ? ModelState::kUnloading : state;
  listed.waiting = static_cast<int>(waiters.size());
  listed.needed_bytes = bytes;
  listed.load_progress = load_progress;
  if (state == ModelState::kFailed) listed.problem = failure.message;
  listed.seconds_left = SecondsLeft(now);
  return listed;
}

ModelSlot* ChooseVictim(std::span<ModelSlot> slots, const ModelSlot& wanted) {
  ModelSlot* victim = nullptr;
  for (ModelSlot& slot : slots) {
    if (&slot == &wanted || !slot.in_memory() || slot.model.pinned) continue;
    const auto goes_before = [](const ModelSlot& a, const ModelSlot& b) {
      return std::pair(a.leases > 0, a.last_used) < std::pair(b.leases > 0, b.last_used);
    };
    if (victim == nullptr || goes_before(slot, *victim)) victim = &slot;
  }
  return victim;
}

ModelSlot* FindExpired(std::span<ModelSlot> slots, ModelClock::time_point now) {
  const auto found = std::ranges::find_if(slots, [now](const ModelSlot& slot) { return slot.ExpiresAt() <= now; });
  return found == slots.end() ? nullptr : &*found;
}

ModelSlot* FindEnded(std::span<ModelSlot> slots) {
  const auto found = std::ranges::find_if(slots, [](const ModelSlot& slot) { return !slot.is_leaving && slot.has_ended(); });
  return found == slots.end() ? nullptr : &*found;
}

ModelClock::time_point NextLook(std::span<const ModelSlot> slots, ModelClock::time_point now) {
  constexpr std::chrono::milliseconds kBetweenLooksAtProcesses(500);
  ModelClock::time_point next = ModelClock::time_point::max();
  for (const ModelSlot& slot : slots) {
    next = std::min(next, slot.ExpiresAt());
    if (slot.is_remote() && !slot.is_leaving) next = std::min(next, now + kBetweenLooksAtProcesses);
  }
  return next;
}

}  // namespace cllm
