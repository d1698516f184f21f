#include "cli/configured_models.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/machine.h"
#include "cli/context_choice.h"
#include "cli/model_list.h"
#include "cli/model_memory.h"
#include "cli/models.h"
#include "cli/served_model.h"
#include "cli/server_facts.h"
#include "formats/gguf_file.h"
#include "model/layer_memory.h"
#include "model/model_facts.h"

namespace cllm {
namespace {

class ServedFile : public LoadedModel {
 public:
  ServedFile(std::unique_ptr<ServedModel> model, const ServeOptions& options, const SharedByModels& shared)
      : model_(std::move(model)),
        backend_(std::make_shared<Backend>(model_->service(), FactsOfServed(options, *model_, shared.version), options.defaults,
                                           shared.kept_responses)) {}
  // What thousands of small pieces of memory leave behind goes back to the system as well.
  ~ServedFile() override {
    model_.reset();
    malloc_trim(0);
  }
  const std::shared_ptr<const Backend>& backend() const override { return backend_; }

 private:
  std::unique_ptr<ServedModel> model_;
  std::shared_ptr<const Backend> backend_;
};

class ModelFile : public ModelSource {
 public:
  // `share_mb`: of the memory limit, what the model may take where more than a request's context is a matter of choice; 0: all of it.
  ModelFile(ServeOptions options, std::int64_t share_mb, const SharedByModels& shared)
      : options_(std::move(options)), share_mb_(share_mb), shared_(shared) {}

  ListedModel Look() const override { return {.facts = FactsOfFile(options_, shared_.version), .state = ModelState::kUnloaded}; }

  Result<std::int64_t> NeededBytes() override {
    planned_ = options_;
    const auto file = GgufFile::Open(options_.model.path);
    if (!file) return std::unexpected(file.error());
    const auto facts = ReadModelFacts(*file);
    if (!facts) return std::unexpected(facts.error());
    if (Status status = CheckModelMetadata(*file); !status) return std::unexpected(status.error());
    const std::int64_t weights = WeightMemory(*file, options_.llama_cpp.weights);
    auto choice = Choose(*facts, weights, share_mb_);
    if (!choice) choice = Choose(*facts, weights, options_.memory_limit_mb);
    if (!choice) return std::unexpected(choice.error());
    planned_.model.max_context_length = choice->context;
    planned_.llama_cpp.n_seq_max = choice->kv.sequences;
    planned_.memory_limit_mb = 0;  // it is kept by whoever asked
    return weights + choice->kv.sequences * choice->kv.bytes_per_sequence + ComputeBytes(*facts, planned_.llama_cpp, choice->kv.sequences);
  }

  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) override {
    auto model = ServedModel::Create(planned_, shared_.on_step_sent, shared_.turns, watch);
    if (!model) return std::unexpected(model.error());
    return std::make_unique<ServedFile>(std::move(*model), planned_, shared_);
  }

 private:
  // `weights`: as WeightMemory has it.
  Result<ContextChoice> Choose(const ModelFacts& facts, std::int64_t weights, std::int64_t limit_mb) const {
    const std::int64_t beside = ComputeBytes(facts, options_.llama_cpp, options_.llama_cpp.n_seq_max);
    const auto budget = KvBudget(weights + (limit_mb > 0 ? beside : 0), limit_mb, options_.kv_cache_max_memory_mb);
    if (!budget) return std::unexpected(budget.error());
    const LayerMemory memory =
        FindLayerMemory(options_.llama_cpp.weights, static_cast<int>(std::clamp<std::int64_t>(facts.layers, 1, 1 << 16)));
    return ChooseContext(options_, facts, *budget, memory.available_bytes());
  }

  const ServeOptions options_;
  const std::int64_t share_mb_;
  const SharedByModels& shared_;
  ServeOptions planned_;
};

// The one model of a server without a list is sized by all that there is, when it is loaded.
class OnlyModelFile : public ModelSource {
 public:
  OnlyModelFile(const ServeOptions& options, const SharedByModels& shared) : options_(options), shared_(shared) {}
  ListedModel Look() const override { return {.facts = FactsOfFile(options_, shared_.version), .state = ModelState::kUnloaded}; }
  Result<std::int64_t> NeededBytes() override { return 0; }
  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) override {
    auto model = ServedModel::Create(options_, shared_.on_step_sent, nullptr, watch);
    if (!model) return std::unexpected(model.error());
    return std::make_unique<ServedFile>(std::move(*model), options_, shared_);
  }

 private:
  const ServeOptions options_;
  const SharedByModels& shared_;
};

}  // namespace

Result<std::vector<ConfiguredModel>> ConfigureModels(const ServeOptions& options, const SharedByModels& shared) {
  std::vector<ConfiguredModel> models;
  if (options.models_file.empty()) {
    models.push_back(
        {.name = ModelIdOf(options), .keep_alive_s = options.keep_alive_s, .source = std::make_unique<OnlyModelFile>(options, shared)});
    return models;
  }
  auto list = ReadModelList(options.models_file, options);
  if (!list) return std::unexpected(list.error());
  const std::int64_t share_mb = options.memory_limit_mb / static_cast<std::int64_t>(list->size());
  for (ListedSettings& settings : *list) {
    auto path = FindOrPullModel(settings.options.model.path, settings.options.pull);
    if (!path) return std::unexpected(Error{path.error().code, fmt::format("the model {}: {}", settings.name, path.error().message), {}});
    settings.options.model.path = std::move(*path);
    models.push_back({.name = settings.name,
                      .aliases = std::move(settings.aliases),
                      .keep_alive_s = settings.keep_alive_s,
                      .pinned = settings.pinned,
                      .preload = settings.preload,
                      .source = std::make_unique<ModelFile>(std::move(settings.options), share_mb, shared)});
  }
  return models;
}

}  // namespace cllm
