#include "models/model_registry.h"

#include <string>
#include <utility>

#include "models/registry_state.h"

namespace cllm {

Result<std::unique_ptr<ModelRegistry>> ModelRegistry::Create(std::vector<ConfiguredModel> models, const RegistryOptions& options) {
  std::vector<NamedModel> named;
  for (const ConfiguredModel& model : models) named.push_back({model.name, model.aliases});
  auto names = ModelNames::Create(std::move(named));
  if (!names) return std::unexpected(names.error());
  auto state = std::make_shared<RegistryState>(std::move(models), std::move(*names), options);
  state->Start();
  return std::unique_ptr<ModelRegistry>(new ModelRegistry(std::move(state)));
}

ModelRegistry::ModelRegistry(std::shared_ptr<RegistryState> state) : state_(std::move(state)) {}
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
std::int64_t ModelRegistry::remote_uses() const { return state_->remote_uses(); }
std::vector<ModelLease> ModelRegistry::Loaded() { return state_->Loaded(); }

}  // namespace cllm
