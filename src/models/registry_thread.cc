// Loading and unloading, one model after another.
#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "models/registry_state.h"

namespace cllm {
namespace {

std::int64_t MebibytesOf(std::int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

}  // namespace

void RegistryState::Run() {
  Lock lock(mutex_);
  while (!stopping_) {
    const auto leaves = [](const ModelSlot& slot) { return slot.is_leaving && slot.leases == 0; };
    if (const auto leaving = std::ranges::find_if(slots_, leaves); leaving != slots_.end()) {
      Drop(lock, *leaving, "it was to be unloaded");
    } else if (ModelSlot* ended = FindEnded(slots_)) {
      spdlog::error("model {}: its process has ended: {}", ended->model.name, ended->loaded->model().remote()->how_it_ended());
      ended->is_leaving = true;
    } else if (ModelSlot* expired = FindExpired(slots_, ModelClock::now())) {
      Drop(lock, *expired, "nobody used it for its keep_alive_s");
    } else if (!queue_.empty()) {
      ModelSlot& slot = *queue_.front();
      queue_.pop_front();
      Load(lock, slot);
    } else if (const auto next = NextLook(slots_, ModelClock::now()); next != ModelClock::time_point::max()) {
      changed_.wait_until(lock, next);
    } else {
      changed_.wait(lock);
    }
  }
  DropAll(lock);
}

void RegistryState::Load(Lock& lock, ModelSlot& slot) {
  const auto room = MakeRoom(lock, slot);
  if (!room && room.error().code != ErrorCode::kCancelled) return Fail(lock, slot, room.error());
  if (!room) return Forget(slot);
  slot.state = ModelState::kLoading;
  slot.bytes = *room;
  used_bytes_ += slot.bytes;
  Result<std::unique_ptr<LoadedModel>> loaded = LoadUnlocked(lock, slot);
  if (!loaded) used_bytes_ -= std::exchange(slot.bytes, 0);
  if (!loaded && loaded.error().code == ErrorCode::kCancelled) return Forget(slot);
  if (!loaded) return Fail(lock, slot, loaded.error());
  slot.loaded = std::move(*loaded);
  slot.state = ModelState::kLoaded;
  slot.last_used = ModelClock::now();
  slot.is_wanted = false;
  const ModelLease model = slot.loaded->model();
  if (model.remote()) {
    slot.shown.max_context = model.remote()->max_context();
  } else {
    slot.shown.facts = model->facts;
    slot.shown.max_context = model->service.max_context();
    if (!accepting_) model->service.StopAccepting();
  }
  Serve(lock, slot);
}

// Ends early where nobody wants the model any more.
Result<std::unique_ptr<LoadedModel>> RegistryState::LoadUnlocked(Lock& lock, ModelSlot& slot) {
  const WorkWatch watch{.stop = [&]() -> Status {
                          const std::lock_guard guard(mutex_);
                          if (slot.is_asked_for() && !stopping_) return {};
                          return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it any more");
                        },
                        .on_progress =
                            [&](double done) {
                              const std::lock_guard guard(mutex_);
                              slot.load_progress = std::max(slot.load_progress, done);
                            }};
  const bool says_so = !options_.takes_any_name;  // who has one model hears of it otherwise
  slot.load_progress = 0;
  lock.unlock();
  if (says_so) spdlog::info("model {}: loading, {} MiB", slot.model.name, MebibytesOf(slot.bytes));
  Result<std::unique_ptr<LoadedModel>> loaded = cllm::Fail(ErrorCode::kUnavailable, "there is no memory for it");
  try {
    loaded = slot.model.source->Load(watch);
  } catch (const std::bad_alloc&) {  // said above
  }
  const bool is_ended = !loaded && loaded.error().code == ErrorCode::kCancelled;
  if (is_ended && says_so) spdlog::info("model {}: not loaded, since {}", slot.model.name, loaded.error().message);
  lock.lock();
  return loaded;
}

// A load that ended because nobody wanted it; perhaps somebody does by now.
void RegistryState::Forget(ModelSlot& slot) {
  slot.state = ModelState::kUnloaded;
  if (slot.is_asked_for()) Want(slot);
}

// Bytes that the model takes, for which there is room now. kCancelled where nobody wants it any more.
Result<std::int64_t> RegistryState::MakeRoom(Lock& lock, ModelSlot& slot) {
  if (!slot.is_asked_for()) return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it any more");
  lock.unlock();
  const auto needed = slot.model.source->NeededBytes();
  lock.lock();
  if (!needed || options_.memory_bytes == 0) return needed;
  const auto no_room = [&](std::int64_t bytes, const char* whose) {
    return cllm::Fail(ErrorCode::kUnavailable,
                      fmt::format("it needs {} MiB of memory, and {} {} MiB for it", MebibytesOf(*needed), whose, bytes >> 20));
  };
  if (*needed > options_.memory_bytes) return no_room(options_.memory_bytes, "resources.memory_limit_mb leaves");
  while (used_bytes_ + *needed > options_.memory_bytes) {
    if (slot.waiters.empty()) {
      spdlog::warn("model {}: not loaded before it is asked for, since the others leave no room", slot.model.name);
      slot.is_wanted = false;
      return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it");
    }
    ModelSlot* victim = ChooseVictim(slots_, slot);
    if (victim == nullptr) return no_room(options_.memory_bytes - used_bytes_, "pinned models leave");
    if (Status status = SendAway(lock, *victim, slot); !status) return std::unexpected(status.error());
  }
  return needed;
}

// What it has accepted goes on, new requests wait until it is there again: else a busy model would keep others out for ever.
Status RegistryState::SendAway(Lock& lock, ModelSlot& victim, const ModelSlot& wanted) {
  const bool was_leaving = std::exchange(victim.is_leaving, true);
  changed_.wait(lock, [&] { return victim.leases == 0 || stopping_ || !wanted.is_asked_for(); });
  if (victim.leases == 0) {
    Drop(lock, victim, fmt::format("{} needs its memory", wanted.model.name));
    return {};
  }
  if (!was_leaving) {
    victim.is_leaving = false;
    Serve(lock, victim);
  }
  return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it any more");
}

// Who waits gets the model before it can become anybody's victim.
void RegistryState::Serve(Lock& lock, ModelSlot& slot) {
  std::vector<ModelSlot::Waiter> waiters = std::exchange(slot.waiters, {});
  std::vector<ModelLease> leases;
  for (std::size_t i = 0; i < waiters.size(); ++i) leases.push_back(Lend(slot));
  lock.unlock();
  for (std::size_t i = 0; i < waiters.size(); ++i) waiters[i].answer(std::move(leases[i]));
  waiters.clear();
  lock.lock();
}

void RegistryState::Fail(Lock& lock, ModelSlot& slot, const Error& error) {
  slot.state = ModelState::kFailed;
  slot.is_wanted = false;
  slot.failed_at = ModelClock::now();
  slot.failure = error;
  if (!options_.takes_any_name) {
    slot.failure = {ErrorCode::kUnavailable, fmt::format("the model {} can't be loaded: {}", slot.model.name, error.message), {}};
  }
  const Error failure = slot.failure;
  std::vector<ModelSlot::Waiter> waiters = std::exchange(slot.waiters, {});
  lock.unlock();
  if (!options_.takes_any_name) spdlog::error("{}", EscapedForLog(failure.message));  // who has one model hears of it otherwise
  for (ModelSlot::Waiter& waiter : waiters) waiter.answer(std::unexpected(failure));
  waiters.clear();
  lock.lock();
}

void RegistryState::Drop(Lock& lock, ModelSlot& slot, std::string_view why) {
  std::unique_ptr<LoadedModel> leaving = std::move(slot.loaded);
  slot.state = ModelState::kUnloading;
  lock.unlock();
  spdlog::info("model {}: unloading, since {}", slot.model.name, why);
  leaving.reset();
  lock.lock();
  slot.is_leaving = false;
  slot.state = ModelState::kUnloaded;
  used_bytes_ -= std::exchange(slot.bytes, 0);
  if (slot.is_asked_for()) Want(slot);
}

// On the thread that has started their processes, with which these would end at once.
void RegistryState::DropAll(Lock& lock) {
  for (ModelSlot& slot : slots_) {
    std::unique_ptr<LoadedModel> leaving = std::move(slot.loaded);
    slot.state = ModelState::kUnloaded;
    lock.unlock();
    leaving.reset();
    lock.lock();
  }
}

void RegistryState::Stop() {
  StopAccepting();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace cllm
