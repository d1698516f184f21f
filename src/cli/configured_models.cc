#include "cli/configured_models.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/machine.h"
#include "cli/commands.h"
#include "cli/model_list.h"
#include "cli/model_plan.h"
#include "cli/model_process.h"
#include "cli/models.h"
#include "cli/served_model.h"
#include "cli/server_facts.h"

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
  ModelLease model() const override { return backend_; }

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
    auto plan = PlanModel(options_, share_mb_);
    if (!plan) return std::unexpected(plan.error());
    planned_ = std::move(plan->options);
    return plan->bytes;
  }

  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) override {
    auto model = ServedModel::Create(planned_, shared_.on_step_sent, shared_.turns, watch);
    if (!model) return std::unexpected(model.error());
    return std::make_unique<ServedFile>(std::move(*model), planned_, shared_);
  }

 private:
  const ServeOptions options_;
  const std::int64_t share_mb_;
  const SharedByModels& shared_;
  ServeOptions planned_;
};

// A model in a process of its own, which is this program, told by the settings of this one and by what was planned.
class IsolatedModel : public ModelSource {
 public:
  // `threads`: that it may compute with.
  IsolatedModel(ServeOptions options, std::int64_t share_mb, int threads, const SharedByModels& shared)
      : options_(std::move(options)), share_mb_(share_mb), threads_(threads), shared_(shared) {}

  ListedModel Look() const override { return {.facts = FactsOfFile(options_, shared_.version), .state = ModelState::kUnloaded}; }

  Result<std::int64_t> NeededBytes() override {
    constexpr std::int64_t kOfAProcess = std::int64_t{64} << 20;  // of the program itself
    auto plan = PlanModel(options_, share_mb_);
    if (!plan) return std::unexpected(plan.error());
    planned_ = std::move(plan->options);
    return plan->bytes + kOfAProcess;
  }

  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) override {
    std::vector<std::string> command = {"/proc/self/exe",
                                        kServeModelCommand,
                                        fmt::format("--isolated-name={}", options_.alias),
                                        fmt::format("--isolated-context={}", planned_.model.max_context_length),
                                        fmt::format("--isolated-sequences={}", planned_.llama_cpp.n_seq_max),
                                        fmt::format("--isolated-threads={}", threads_)};
    command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
    auto process =
        ModelProcess::Start({.id = options_.alias,
                             .command = std::move(command),
                             .socket = fmt::format("{}/{:016x}", shared_.sockets->path(), std::hash<std::string>()(options_.alias)),
                             .max_context = planned_.model.max_context_length},
                            watch);
    if (!process) return std::unexpected(process.error());
    return std::make_unique<Running>(std::move(*process));
  }

 private:
  struct Running : LoadedModel {
    explicit Running(std::shared_ptr<const RemoteModel> process) : process_(std::move(process)) {}
    ModelLease model() const override { return process_; }
    std::shared_ptr<const RemoteModel> process_;
  };

  const ServeOptions options_;
  const std::int64_t share_mb_;
  const int threads_;
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
  const auto count = static_cast<int>(list->size());
  const std::int64_t share_mb = options.memory_limit_mb / count;
  const int threads = options.llama_cpp.n_threads > 0 ? options.llama_cpp.n_threads : std::max(1, AvailableCores() / count);
  for (ListedSettings& settings : *list) {
    auto path = FindOrPullModel(settings.options.model.path, settings.options.pull);
    if (!path) return std::unexpected(Error{path.error().code, fmt::format("the model {}: {}", settings.name, path.error().message), {}});
    settings.options.model.path = std::move(*path);
    std::unique_ptr<ModelSource> source;
    if (options.isolate) {
      source = std::make_unique<IsolatedModel>(std::move(settings.options), share_mb, threads, shared);
    } else {
      source = std::make_unique<ModelFile>(std::move(settings.options), share_mb, shared);
    }
    models.push_back({.name = settings.name,
                      .aliases = std::move(settings.aliases),
                      .keep_alive_s = settings.keep_alive_s,
                      .pinned = settings.pinned,
                      .preload = settings.preload,
                      .source = std::move(source)});
  }
  return models;
}

}  // namespace cllm
