#include "models/model_registry.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "models/model_names.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration ClockTime(double seconds) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)); }

std::int64_t MebibytesOf(std::int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

}  // namespace

class ModelRegistry::State : public std::enable_shared_from_this<State> {
 public:
  State(std::vector<ConfiguredModel> models, ModelNames names, const RegistryOptions& options)
      : options_(options), names_(std::move(names)) {
    slots_.resize(models.size());
    for (std::size_t i = 0; i < models.size(); ++i) {
      slots_[i].model = std::move(models[i]);
      slots_[i].shown = slots_[i].model.source->Look();
    }
  }

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  void Stop();

  std::size_t size() const { return slots_.size(); }
  bool takes_any_name() const { return options_.takes_any_name; }
  Result<std::size_t> FindNamed(std::string_view name) const { return names_.Find(name); }
  ModelLease Take(std::size_t model);
  std::uint64_t Ask(std::size_t model, Answer answer);
  void GiveUp(std::size_t model, std::uint64_t number);
  void Preload();
  Status Unload(std::size_t model);
  void StopAccepting();
  bool accepting() const {
    const std::lock_guard lock(mutex_);
    return accepting_;
  }
  std::vector<ListedModel> List() const;
  std::vector<ModelLease> Loaded();

 private:
  struct Waiter {
    std::uint64_t number = 0;
    ModelRegistry::Answer answer;
  };

  // One model and what becomes of it.
  struct Slot {
    ConfiguredModel model;
    ListedModel shown;  // as it was when somebody last looked
    ModelState state = ModelState::kUnloaded;
    std::unique_ptr<LoadedModel> loaded;
    std::int64_t bytes = 0;  // that it takes, from before its load until its end
    int leases = 0;
    Clock::time_point last_used;
    std::vector<Waiter> waiters;
    bool is_wanted = false;   // somebody wants it loaded without waiting for it
    bool is_leaving = false;  // in memory, but only for who has it already
    Error failure;            // where the state is kFailed
    Clock::time_point failed_at;

    bool in_memory() const { return state == ModelState::kLoaded; }
    bool is_asked_for() const { return is_wanted || !waiters.empty(); }
  };

  // All of them with the mutex held.
  enum class Purpose : std::uint8_t { kUse, kLook };
  ModelLease Lend(Slot& slot, Purpose purpose = Purpose::kUse);
  void Release(Slot& slot, Purpose purpose);
  std::optional<Error> Refusal(const Slot& slot) const;
  void Want(Slot& slot);
  std::vector<Waiter> TakeWaiters(Slot& slot);
  Slot* IdleForTooLong();
  Clock::time_point NextExpiry() const;
  Slot* Victim(const Slot& wanted);
  double SecondsLeft(const Slot& slot) const;

  // On the thread of the registry.
  void Run();
  void Load(std::unique_lock<std::mutex>& lock, Slot& slot);
  Result<std::int64_t> MakeRoom(std::unique_lock<std::mutex>& lock, Slot& slot);
  Status SendAway(std::unique_lock<std::mutex>& lock, Slot& victim, const Slot& wanted);
  void Drop(std::unique_lock<std::mutex>& lock, Slot& slot, std::string_view why);
  void Fail(std::unique_lock<std::mutex>& lock, Slot& slot, const Error& error);
  void Serve(std::unique_lock<std::mutex>& lock, Slot& slot);

  const RegistryOptions options_;
  const ModelNames names_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;  // never more or fewer
  std::deque<Slot*> queue_;  // to be loaded, in this order
  std::int64_t used_bytes_ = 0;
  std::uint64_t last_number_ = 0;
  bool accepting_ = true;
  bool stopping_ = false;
  std::thread thread_;
};

// The last one that goes tells it, on whatever thread.
ModelLease ModelRegistry::State::Lend(Slot& slot, Purpose purpose) {
  ++slot.leases;
  if (purpose == Purpose::kUse) slot.last_used = Clock::now();
  std::shared_ptr<const Backend> kept = slot.loaded->backend();
  const Backend* backend = kept.get();
  return {backend, [state = shared_from_this(), &slot, purpose, kept = std::move(kept)](const Backend*) mutable {
            kept.reset();
            const std::lock_guard lock(state->mutex_);
            state->Release(slot, purpose);
          }};
}

// Whoever only looks, as probes do, keeps no model in memory.
void ModelRegistry::State::Release(Slot& slot, Purpose purpose) {
  if (purpose == Purpose::kUse) slot.last_used = Clock::now();
  if (--slot.leases == 0) changed_.notify_all();
}

ModelLease ModelRegistry::State::Take(std::size_t model) {
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[model];
  return slot.in_memory() && !slot.is_leaving ? Lend(slot) : nullptr;
}

// Why nobody can wait for the model now.
std::optional<Error> ModelRegistry::State::Refusal(const Slot& slot) const {
  if (!accepting_) return Error{ErrorCode::kUnavailable, "the server is shutting down", {}};
  if (slot.waiters.size() >= static_cast<std::size_t>(options_.most_waiting)) {
    return Error{
        ErrorCode::kQueueFull, fmt::format("{} requests wait for the model {} already", slot.waiters.size(), slot.model.name), {}, 1};
  }
  if (slot.state != ModelState::kFailed) return std::nullopt;
  const auto left = slot.failed_at + ClockTime(options_.remembers_failure_s) - Clock::now();
  if (left.count() <= 0) return std::nullopt;
  Error error = slot.failure;
  error.retry_after_s = static_cast<int>(std::chrono::ceil<std::chrono::seconds>(left).count());
  return error;
}

std::uint64_t ModelRegistry::State::Ask(std::size_t model, Answer answer) {
  Result<ModelLease> ready;
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[model];
    if (slot.in_memory() && !slot.is_leaving) {
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

// One that is in memory, or on its way, is looked at when it has come or gone.
void ModelRegistry::State::Want(Slot& slot) {
  if (slot.state != ModelState::kUnloaded && slot.state != ModelState::kFailed) return;
  slot.state = ModelState::kQueued;
  queue_.push_back(&slot);
  changed_.notify_all();
}

void ModelRegistry::State::GiveUp(std::size_t model, std::uint64_t number) {
  std::optional<Waiter> waiter;
  {
    const std::lock_guard lock(mutex_);
    std::vector<Waiter>& waiters = slots_[model].waiters;
    const auto found = std::ranges::find(waiters, number, &Waiter::number);
    if (found == waiters.end()) return;
    waiter = std::move(*found);
    waiters.erase(found);
    changed_.notify_all();  // perhaps nobody wants it any more
  }
  waiter->answer(cllm::Fail(ErrorCode::kCancelled, "nobody waits for the model any more"));
}

void ModelRegistry::State::Preload() {
  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    if (!slot.model.preload || slot.in_memory()) continue;
    slot.is_wanted = true;
    Want(slot);
  }
}

Status ModelRegistry::State::Unload(std::size_t model) {
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[model];
  if (slot.model.pinned) return cllm::Fail(ErrorCode::kInvalidArgument, fmt::format("the model {} is pinned", slot.model.name), "model");
  slot.is_wanted = false;
  if (slot.in_memory()) slot.is_leaving = true;
  changed_.notify_all();
  return {};
}

void ModelRegistry::State::StopAccepting() {
  std::vector<Waiter> refused;
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    for (Slot& slot : slots_) {
      if (slot.in_memory()) slot.loaded->backend()->service.StopAccepting();
      slot.is_wanted = false;
      std::ranges::move(TakeWaiters(slot), std::back_inserter(refused));
    }
    changed_.notify_all();
  }
  for (Waiter& waiter : refused) waiter.answer(cllm::Fail(ErrorCode::kUnavailable, "the server is shutting down"));
}

std::vector<ModelRegistry::State::Waiter> ModelRegistry::State::TakeWaiters(Slot& slot) { return std::exchange(slot.waiters, {}); }

std::vector<ListedModel> ModelRegistry::State::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<ListedModel> list;
  for (const Slot& slot : slots_) {
    ListedModel& shown = list.emplace_back(slot.shown);
    shown.state = slot.in_memory() && slot.is_leaving ? ModelState::kUnloading : slot.state;
    shown.waiting = static_cast<int>(slot.waiters.size());
    shown.needed_bytes = slot.bytes;
    if (slot.state == ModelState::kFailed) shown.problem = slot.failure.message;
    shown.seconds_left = SecondsLeft(slot);
  }
  return list;
}

std::vector<ModelLease> ModelRegistry::State::Loaded() {
  const std::lock_guard lock(mutex_);
  std::vector<ModelLease> loaded;
  for (Slot& slot : slots_) {
    if (slot.in_memory()) loaded.push_back(Lend(slot, Purpose::kLook));
  }
  return loaded;
}

// Until it is unloaded because nobody uses it; 0 where it stays.
double ModelRegistry::State::SecondsLeft(const Slot& slot) const {
  if (!slot.in_memory() || slot.model.pinned || slot.model.keep_alive_s <= 0) return 0;
  const double idle_s = slot.leases > 0 ? 0 : std::chrono::duration<double>(Clock::now() - slot.last_used).count();
  return std::max(0.001, slot.model.keep_alive_s - idle_s);
}

void ModelRegistry::State::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto leaves = [](const Slot& slot) { return slot.is_leaving && slot.leases == 0; };
    if (const auto leaving = std::ranges::find_if(slots_, leaves); leaving != slots_.end()) {
      Drop(lock, *leaving, "it was to be unloaded");
    } else if (Slot* idle = IdleForTooLong()) {
      Drop(lock, *idle, "nobody used it for its keep_alive_s");
    } else if (!queue_.empty()) {
      Slot& slot = *queue_.front();
      queue_.pop_front();
      Load(lock, slot);
    } else if (const auto next = NextExpiry(); next != Clock::time_point::max()) {
      changed_.wait_until(lock, next);
    } else {
      changed_.wait(lock);
    }
  }
}

ModelRegistry::State::Slot* ModelRegistry::State::IdleForTooLong() {
  const Clock::time_point now = Clock::now();
  const auto found = std::ranges::find_if(slots_, [&](const Slot& slot) {
    const ConfiguredModel& model = slot.model;
    return slot.in_memory() && slot.leases == 0 && !model.pinned && model.keep_alive_s > 0 &&
           slot.last_used + ClockTime(model.keep_alive_s) <= now;
  });
  return found == slots_.end() ? nullptr : &*found;
}

Clock::time_point ModelRegistry::State::NextExpiry() const {
  Clock::time_point next = Clock::time_point::max();
  for (const Slot& slot : slots_) {
    if (!slot.in_memory() || slot.leases > 0 || slot.model.pinned || slot.model.keep_alive_s <= 0) continue;
    next = std::min(next, slot.last_used + ClockTime(slot.model.keep_alive_s));
  }
  return next;
}

void ModelRegistry::State::Load(std::unique_lock<std::mutex>& lock, Slot& slot) {
  const auto room = MakeRoom(lock, slot);
  if (!room && room.error().code != ErrorCode::kCancelled) return Fail(lock, slot, room.error());
  if (!room) {
    slot.state = ModelState::kUnloaded;
    if (slot.is_asked_for()) Want(slot);
    return;
  }
  slot.state = ModelState::kLoading;
  slot.bytes = *room;
  used_bytes_ += slot.bytes;
  Result<std::unique_ptr<LoadedModel>> loaded = cllm::Fail(ErrorCode::kUnavailable, "there is no memory for it");
  lock.unlock();
  if (!options_.takes_any_name) spdlog::info("model {}: loading, {} MiB", slot.model.name, MebibytesOf(slot.bytes));
  try {
    loaded = slot.model.source->Load();
  } catch (const std::bad_alloc&) {  // said above
  }
  lock.lock();
  if (!loaded) {
    used_bytes_ -= std::exchange(slot.bytes, 0);
    return Fail(lock, slot, loaded.error());
  }
  slot.loaded = std::move(*loaded);
  slot.state = ModelState::kLoaded;
  slot.last_used = Clock::now();
  slot.is_wanted = false;
  const Backend& backend = *slot.loaded->backend();
  slot.shown.facts = backend.facts;
  slot.shown.max_context = backend.service.max_context();
  if (!accepting_) slot.loaded->backend()->service.StopAccepting();
  Serve(lock, slot);
}

// Who waits gets the model before it can become anybody's victim.
void ModelRegistry::State::Serve(std::unique_lock<std::mutex>& lock, Slot& slot) {
  std::vector<Waiter> waiters = TakeWaiters(slot);
  std::vector<ModelLease> leases;
  for (std::size_t i = 0; i < waiters.size(); ++i) leases.push_back(Lend(slot));
  lock.unlock();
  for (std::size_t i = 0; i < waiters.size(); ++i) waiters[i].answer(std::move(leases[i]));
  waiters.clear();
  lock.lock();
}

void ModelRegistry::State::Fail(std::unique_lock<std::mutex>& lock, Slot& slot, const Error& error) {
  slot.state = ModelState::kFailed;
  slot.is_wanted = false;
  slot.failed_at = Clock::now();
  slot.failure = error;
  if (!options_.takes_any_name) {
    slot.failure = {ErrorCode::kUnavailable, fmt::format("the model {} can't be loaded: {}", slot.model.name, error.message), {}};
  }
  const Error failure = slot.failure;
  std::vector<Waiter> waiters = TakeWaiters(slot);
  lock.unlock();
  if (!options_.takes_any_name) spdlog::error("{}", EscapedForLog(failure.message));  // who has one model hears of it otherwise
  for (Waiter& waiter : waiters) waiter.answer(std::unexpected(failure));
  waiters.clear();
  lock.lock();
}

// Bytes that the model takes, for which there is room now. kCancelled where nobody wants it any more.
Result<std::int64_t> ModelRegistry::State::MakeRoom(std::unique_lock<std::mutex>& lock, Slot& slot) {
  if (!slot.is_asked_for()) return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it any more");
  lock.unlock();
  const auto needed = slot.model.source->NeededBytes();
  lock.lock();
  if (!needed || options_.memory_bytes == 0) return needed;
  const auto no_room = [&](std::int64_t bytes, const char* whose) {
    return cllm::Fail(ErrorCode::kUnavailable, fmt::format("it needs {} MiB of memory, and {} {} MiB of resources.memory_limit_mb",
                                                           MebibytesOf(*needed), whose, bytes >> 20));
  };
  if (*needed > options_.memory_bytes) return no_room(options_.memory_bytes, "there are");
  while (used_bytes_ + *needed > options_.memory_bytes) {
    if (slot.waiters.empty()) {
      spdlog::warn("model {}: not loaded before it is asked for, since the others leave no room", slot.model.name);
      slot.is_wanted = false;
      return cllm::Fail(ErrorCode::kCancelled, "nobody waits for it");
    }
    Slot* victim = Victim(slot);
    if (victim == nullptr) return no_room(options_.memory_bytes - used_bytes_, "pinned models leave");
    if (Status status = SendAway(lock, *victim, slot); !status) return std::unexpected(status.error());
  }
  return needed;
}

// Of those that nobody has the one that was used least recently; where there is none, of all.
ModelRegistry::State::Slot* ModelRegistry::State::Victim(const Slot& wanted) {
  Slot* victim = nullptr;
  for (Slot& slot : slots_) {
    if (&slot == &wanted || !slot.in_memory() || slot.model.pinned) continue;
    const auto goes_before = [](const Slot& a, const Slot& b) {
      return std::pair(a.leases > 0, a.last_used) < std::pair(b.leases > 0, b.last_used);
    };
    if (victim == nullptr || goes_before(slot, *victim)) victim = &slot;
  }
  return victim;
}

// What it has accepted goes on, new requests wait until it is there again: else a busy model would keep others out for ever.
Status ModelRegistry::State::SendAway(std::unique_lock<std::mutex>& lock, Slot& victim, const Slot& wanted) {
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

void ModelRegistry::State::Drop(std::unique_lock<std::mutex>& lock, Slot& slot, std::string_view why) {
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

void ModelRegistry::State::Stop() {
  StopAccepting();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  for (Slot& slot : slots_) {
    std::unique_ptr<LoadedModel> leaving;
    {
      const std::lock_guard lock(mutex_);
      leaving = std::move(slot.loaded);
      slot.state = ModelState::kUnloaded;
    }
  }
}

Result<std::unique_ptr<ModelRegistry>> ModelRegistry::Create(std::vector<ConfiguredModel> models, const RegistryOptions& options) {
  std::vector<NamedModel> named;
  for (const ConfiguredModel& model : models) named.push_back({model.name, model.aliases});
  auto names = ModelNames::Create(std::move(named));
  if (!names) return std::unexpected(names.error());
  auto state = std::make_shared<State>(std::move(models), std::move(*names), options);
  state->Start();
  return std::unique_ptr<ModelRegistry>(new ModelRegistry(std::move(state)));
}

ModelRegistry::ModelRegistry(std::shared_ptr<State> state) : state_(std::move(state)) {}
ModelRegistry::~ModelRegistry() { state_->Stop(); }

std::size_t ModelRegistry::size() const { return state_->size(); }
bool ModelRegistry::takes_any_name() const { return state_->takes_any_name(); }
Result<std::size_t> ModelRegistry::Find(std::string_view name) const { return takes_any_name() ? 0 : FindNamed(name); }
Result<std::size_t> ModelRegistry::FindNamed(std::string_view name) const { return state_->FindNamed(name); }
ModelLease ModelRegistry::Take(std::size_t model) { return state_->Take(model); }
std::uint64_t ModelRegistry::Ask(std::size_t model, Answer answer) { return state_->Ask(model, std::move(answer)); }
void ModelRegistry::GiveUp(std::size_t model, std::uint64_t number) { state_->GiveUp(model, number); }
void ModelRegistry::Preload() { state_->Preload(); }
Status ModelRegistry::Unload(std::size_t model) { return state_->Unload(model); }
void ModelRegistry::StopAccepting() { state_->StopAccepting(); }
bool ModelRegistry::accepting() const { return state_->accepting(); }
std::vector<ListedModel> ModelRegistry::List() const { return state_->List(); }
std::vector<ModelLease> ModelRegistry::Loaded() { return state_->Loaded(); }

}  // namespace cllm
