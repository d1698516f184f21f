// The models of a server: who is meant by a name, who is in memory, and who has to go so that another one fits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "api/backend.h"
#include "models/model_source.h"

namespace cllm {

class RegistryState;

struct RegistryOptions {
  bool takes_any_name = false;      // one model, whatever it is called
  std::int64_t memory_bytes = 0;    // of all models together, by ModelSource::NeededBytes; 0: no limit
  int most_waiting = 64;            // requests that wait for one model; more are refused
  double remembers_failure_s = 30;  // a load that failed is not tried again so long
};

// Thread safe. One thread loads and unloads, one model after another.
class ModelRegistry {
 public:
  // An error where two models have one name.
  static Result<std::unique_ptr<ModelRegistry>> Create(std::vector<ConfiguredModel> models, const RegistryOptions& options);
  // Ends what is loaded. Nobody may wait for a model any more, and nobody ask the service of a lease.
  ~ModelRegistry();
  ModelRegistry(const ModelRegistry&) = delete;
  ModelRegistry& operator=(const ModelRegistry&) = delete;

  std::size_t size() const;
  bool takes_any_name() const;
  // The model that is meant by a request's `model`; empty: the first.
  Result<std::size_t> Find(std::string_view name) const;
  // The same where a name that no model has is an error even if requests may give any.
  Result<std::size_t> FindNamed(std::string_view name) const;

  // The model where it is in memory and stays there; null otherwise.
  ModelLease Take(std::size_t model);

  // Asks for the model, which is loaded where it has to be. `answer` is called once, here or on the registry's thread, and must neither
  // block nor call the registry. The number is for GiveUp.
  using Answer = std::function<void(Result<ModelLease>)>;
  std::uint64_t Ask(std::size_t model, Answer answer);
  // Nobody waits for the answer any more; it comes at once, with kCancelled, unless it has come. A load that nobody waits for ends soon.
  void GiveUp(std::size_t model, std::uint64_t number);

  // Asks for every model that is to be loaded before anybody asks for it.
  void Preload();

  // Takes the model out of memory as soon as nobody has it; who asks for it meanwhile gets it loaded again. kUnavailable where it is
  // pinned.
  Status Unload(std::size_t model);

  // From now on nothing is loaded, a load under way ends soon, who waits is refused, and no service accepts anything; what it has accepted
  // goes on.
  void StopAccepting();
  bool accepting() const;

  std::vector<ListedModel> List() const;
  // All that are in memory, as long as the caller has them.
  std::vector<ModelLease> Loaded();
  // How many uses there are of models in processes of their own.
  std::int64_t remote_uses() const;

 private:
  explicit ModelRegistry(std::shared_ptr<RegistryState> state);

  std::shared_ptr<RegistryState> state_;  // leases have it, too
};

}  // namespace cllm
