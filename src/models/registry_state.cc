// Who asks for a model, and what he is answered.
#include "models/registry_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

// The same pointer, whose last copy calls `on_end`.
template <typename T>
std::shared_ptr<const T> Counted(std::shared_ptr<const T> kept, auto on_end) {
  const T* pointer = kept.get();
  return {pointer, [kept = std::move(kept), on_end = std::move(on_end)](const T*) mutable {
            kept.reset();
            on_end();
          }};
}

}  // namespace

RegistryState::RegistryState(std::vector<ConfiguredModel> models, ModelNames names, const RegistryOptions& options)
    : options_(options), names_(std::move(names)) {
  slots_.resize(models.size());
  for (std::size_t i = 0; i < models.size(); ++i) {
    slots_[i].model = std::move(models[i]);
    slots_[i].shown = slots_[i].model.source->Look();
  }
}

void RegistryState::Start() {
  thread_ = std::thread([this] { Run(); });
}

bool RegistryState::accepting() const {
  const std::lock_guard lock(mutex_);
  return accepting_;
}

ModelLease RegistryState::Take(std::size_t model) {
  const std::lock_guard lock(mutex_);
  ModelSlot& slot = slots_[model];
  return IsThere(slot) ? Lend(slot) : nullptr;
}

std::uint64_t RegistryState::Ask(std::size_t model, ModelRegistry::Answer answer) {
  Result<ModelLease> ready;
  {
    const std::lock_guard lock(mutex_);
    ModelSlot& slot = slots_[model];
    if (IsThere(slot)) {
      ready = Lend(slot);
    } else if (auto refusal = Refusal(slot)) {
      ready = std::unexpected(*std::move(refusal));
    } else {
      slot.waiters.push_back({++last_number_, std::move(answer)});
      Want(slot);
      return last_number_;
    }
  }
  answer(std::move(ready));
  return 0;
}

void RegistryState::GiveUp(std::size_t model, std::uint64_t number) {
  std::optional<ModelSlot::Waiter> waiter;
  {
    const std::lock_guard lock(mutex_);
    std::vector<ModelSlot::Waiter>& waiters = slots_[model].waiters;
    const auto found = std::ranges::find(waiters, number, &ModelSlot::Waiter::number);
    if (found == waiters.end()) return;
    waiter = std::move(*found);
    waiters.erase(found);
    changed_.notify_all();  // perhaps nobody wants it any more
  }
  waiter->answer(cllm::Fail(ErrorCode::kCancelled, "nobody waits for the model any more"));
}

// Why nobody can wait for the model now.
std::optional<Error> RegistryState::Refusal(const ModelSlot& slot) const {
  if (!accepting_) return Error{ErrorCode::kUnavailable, "the server is shutting down", {}};
  if (slot.waiters.size() >= static_cast<std::size_t>(options_.most_waiting)) {
    return Error{
        ErrorCode::kQueueFull, fmt::format("{} requests wait for the model {} already", slot.waiters.size(), slot.model.name), {}, 1};
  }
  if (slot.state != ModelState::kFailed) return std::nullopt;
  const auto left = slot.failed_at + ClockTime(options_.remembers_failure_s) - ModelClock::now();
  if (left.count() <= 0) return std::nullopt;
  Error error = slot.failure;
  error.retry_after_s = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(left).count());
  return error;
}

bool RegistryState::IsThere(const ModelSlot& slot) { return slot.in_memory() && !slot.is_leaving && !slot.has_ended(); }

// One that is in memory, or on its way, is looked at when it has come or gone.
void RegistryState::Want(ModelSlot& slot) {
  if (slot.state != ModelState::kUnloaded && slot.state != ModelState::kFailed) return;
  slot.state = ModelState::kQueued;
  queue_.push_back(&slot);
  changed_.notify_all();
}

// The last one that goes tells it, on whatever thread.
ModelLease RegistryState::Lend(ModelSlot& slot, Purpose purpose) {
  ++slot.leases;
  if (purpose == Purpose::kUse) {
    ++slot.uses;
    slot.last_used = ModelClock::now();
  }
  const auto release = [state = shared_from_this(), &slot, purpose] {
    const std::lock_guard lock(state->mutex_);
    state->Release(slot, purpose);
  };
  const ModelLease model = slot.loaded->model();
  if (model.remote()) return Counted(model.remote(), release);
  return Counted(model.backend(), release);
}

// Whoever only looks, as probes do, keeps no model in memory.
void RegistryState::Release(ModelSlot& slot, Purpose purpose) {
  if (purpose == Purpose::kUse) {
    --slot.uses;
    slot.last_used = ModelClock::now();
  }
  if (--slot.leases == 0) changed_.notify_all();
}

void RegistryState::Preload() {
  const std::lock_guard lock(mutex_);
  for (ModelSlot& slot : slots_) {
    if (!slot.model.preload || slot.in_memory()) continue;
    slot.is_wanted = true;
    Want(slot);
  }
}

Status RegistryState::Unload(std::size_t model) {
  const std::lock_guard lock(mutex_);
  ModelSlot& slot = slots_[model];
  if (slot.model.pinned) return cllm::Fail(ErrorCode::kInvalidArgument, fmt::format("the model {} is pinned", slot.model.name), "model");
  slot.is_wanted = false;
  if (slot.in_memory()) slot.is_leaving = true;
  changed_.notify_all();
  return {};
}

void RegistryState::StopAccepting() {
  std::vector<ModelSlot::Waiter> refused;
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    for (ModelSlot& slot : slots_) {
      if (slot.in_memory() && !slot.is_remote()) slot.loaded->model()->service.StopAccepting();
      slot.is_wanted = false;
      std::ranges::move(std::exchange(slot.waiters, {}), std::back_inserter(refused));
    }
    changed_.notify_all();
  }
  for (ModelSlot::Waiter& waiter : refused) waiter.answer(cllm::Fail(ErrorCode::kUnavailable, "the server is shutting down"));
}

std::vector<ListedModel> RegistryState::List() const {
  const std::lock_guard lock(mutex_);
  const auto now = ModelClock::now();
  std::vector<ListedModel> list;
  for (const ModelSlot& slot : slots_) list.push_back(slot.Shown(now));
  return list;
}

std::int64_t RegistryState::remote_uses() const {
  const std::lock_guard lock(mutex_);
  std::int64_t uses = 0;
  for (const ModelSlot& slot : slots_) uses += slot.is_remote() ? slot.uses : 0;
  return uses;
}

std::vector<ModelLease> RegistryState::Loaded() {
  const std::lock_guard lock(mutex_);
  std::vector<ModelLease> loaded;
  for (ModelSlot& slot : slots_) {
    if (slot.in_memory()) loaded.push_back(Lend(slot, Purpose::kLook));
  }
  return loaded;
}

}  // namespace cllm
