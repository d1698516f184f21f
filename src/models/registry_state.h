// What a registry and its leases share.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "models/model_names.h"
#include "models/model_registry.h"
#include "models/model_slot.h"

namespace cllm {

class RegistryState : public std::enable_shared_from_this<RegistryState> {
 public:
  RegistryState(std::vector<ConfiguredModel> models, ModelNames names, const RegistryOptions& options);

  void Start();
  void Stop();

  std::size_t size() const { return slots_.size(); }
  bool takes_any_name() const { return options_.takes_any_name; }
  Result<std::size_t> FindNamed(std::string_view name) const { return names_.Find(name); }
  ModelLease Take(std::size_t model);
  std::uint64_t Ask(std::size_t model, ModelRegistry::Answer answer);
  void GiveUp(std::size_t model, std::uint64_t number);
  void Preload();
  Status Unload(std::size_t model);
  void StopAccepting();
  bool accepting() const;
  std::vector<ListedModel> List() const;
  std::vector<ModelLease> Loaded();
  std::int64_t remote_uses() const;

 private:
  using Lock = std::unique_lock<std::mutex>;

  // All of them with the mutex held.
  enum class Purpose : std::uint8_t { kUse, kLook };
  ModelLease Lend(ModelSlot& slot, Purpose purpose = Purpose::kUse);
  void Release(ModelSlot& slot, Purpose purpose);
  // Whether whoever comes now gets the model.
  static bool IsThere(const ModelSlot& slot);
  std::optional<Error> Refusal(const ModelSlot& slot) const;
  void Want(ModelSlot& slot);

  // On the thread of the registry, with the mutex held where they begin and end. In registry_thread.cc.
  void Run();
  void Load(Lock& lock, ModelSlot& slot);
  Result<std::unique_ptr<LoadedModel>> LoadUnlocked(Lock& lock, ModelSlot& slot);
  void Forget(ModelSlot& slot);
  Result<std::int64_t> MakeRoom(Lock& lock, ModelSlot& slot);
  Status SendAway(Lock& lock, ModelSlot& victim, const ModelSlot& wanted);
  void Drop(Lock& lock, ModelSlot& slot, std::string_view why);
  void DropAll(Lock& lock);
  void Fail(Lock& lock, ModelSlot& slot, const Error& error);
  void Serve(Lock& lock, ModelSlot& slot);

  const RegistryOptions options_;
  const ModelNames names_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ModelSlot> slots_;  // never more or fewer
  std::deque<ModelSlot*> queue_;  // to be loaded, in this order
  std::int64_t used_bytes_ = 0;
  std::uint64_t last_number_ = 0;
  bool accepting_ = true;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cllm
