#include "cli/loaded_engine.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "cli/bus_errors.h"
#include "cli/chat_template_setting.h"
#include "cli/commands.h"
#include "cli/context_choice.h"
#include "cli/models.h"
#include "engine/llamacpp/llamacpp_encoder.h"
#include "engine/llamacpp/llamacpp_engine.h"
#include "engine/llamacpp/matmul_op.h"
#include "model/layer_memory.h"
#include "model/model_check.h"

namespace cllm {
namespace {

void WarnAboutSettings(const ServeOptions& options, const ModelFacts& facts) {
  const std::string& wanted = options.model.quantization;
  if (!wanted.empty() && !QuantizationMatches(wanted, facts.quantization)) {
    spdlog::warn("model.quantization says {}, but the file is {}", wanted, facts.quantization);
  }
  const int context = options.model.max_context_length;
  if (facts.generates && context > facts.trained_context) {
    spdlog::warn("model.max_context_length {} is more than the {} tokens that the model was trained for", context, facts.trained_context);
  }
  const int gpu_layers = options.llama_cpp.weights.n_gpu_layers;
  if (gpu_layers == 0 || Model::HasGpuSupport()) return;
  if (Model::HasGpuBackend()) {
    spdlog::warn("this build is for a GPU, but it finds none that it can use: everything runs on the CPU");
  } else if (gpu_layers > 0) {
    spdlog::warn("n_gpu_layers is {}, but this build has no GPU backend (build with CLLM_GPU=…): everything runs on the CPU", gpu_layers);
  }
}

// Of a model that lies on GPUs as a whole, the processor only looks up the tokens' embeddings: more threads wait for each other.
LlamaCppOptions EngineOptions(const ServeOptions& options, const LayerMemory& memory) {
  LlamaCppOptions engine = options.llama_cpp;
  if (engine.n_threads == 0 && memory.all_on_gpu()) engine.n_threads = 1;
  return engine;
}

// Of the engines that `backend.type` may name; `auto` is the one for the model's file, and all that is served is GGUF.
std::string EngineName(const ServeOptions& options) { return options.backend_type == "auto" ? "llama_cpp" : options.backend_type; }

void SayWhereLayersLie(const LayerMemory& memory) {
  if (memory.gpu_name.empty()) return;
  spdlog::info("{} of {} layers are on {}, which has {} MiB left", memory.gpu_layers, memory.layers, memory.gpu_name,
               memory.gpu_bytes >> 20);
}

void SayWhatIsServed(const ServeOptions& options, const ContextChoice& choice, const LoadedEngine& loaded) {
  const KvSizing& kv = choice.kv;
  const int size = loaded.engine->capabilities().embedding_size;
  const std::string_view pooling = PoolingName(loaded.pooling);
  if (!loaded.engine->capabilities().generates) {
    return spdlog::info("embeddings of {} numbers (pooling {}) of texts of up to {} tokens, no text: {}", size, pooling, choice.context,
                        choice.why);
  }
  spdlog::info("KV cache: {} of {} sequences of {} tokens, {} MiB each, {} MiB in all once they are used: {}", kv.sequences,
               options.llama_cpp.n_seq_max, choice.context, kv.bytes_per_sequence >> 20, kv.sequences * kv.bytes_per_sequence >> 20,
               choice.why);
  if (size > 0) spdlog::info("embeddings of {} numbers (pooling {}) beside", size, pooling);
}

}  // namespace

Status CheckModel(const std::string& path, const StopCheck& stop) {
  return CheckModelFile(path,
                        {.probe_command = {"/proc/self/exe", kProbeCommand}, .verdicts_path = CacheFolder() / "verdicts", .stop = stop});
}

Result<LoadedEngine> LoadEngine(const ServeOptions& options, const WorkWatch& watch) {
  LoadedEngine loaded;
  if (const std::string name = EngineName(options); name != "llama_cpp") {
    return InvalidArgument(fmt::format("this build has no engine {}: use llama_cpp", name), "backend.type");
  }
  auto chat_template = ChatTemplateSetting(options.model);
  if (!chat_template) return std::unexpected(chat_template.error());
  loaded.chat_template = std::move(*chat_template);
  ExplainBusErrors(options.model.path);
  if (const Status status = CheckModel(options.model.path, watch.stop); !status) return std::unexpected(status.error());
  // The file is a little more than its weights, and known before anything is loaded.
  std::error_code ignored;
  const auto file_bytes = std::filesystem::file_size(options.model.path, ignored);
  const auto budget_mb =
      KvBudget(ignored ? 0 : static_cast<std::int64_t>(file_bytes), options.memory_limit_mb, options.kv_cache_max_memory_mb);
  if (!budget_mb) return std::unexpected(budget_mb.error());
  UseOwnMatmul();
  auto model = Model::Load(options.model.path, options.llama_cpp.weights, watch);
  if (!model) return std::unexpected(model.error());
  loaded.model = std::move(*model);
  const ModelFacts& facts = loaded.model->facts();
  spdlog::info("loaded {}: {} {}, {:.1f} M parameters, {:.0f} MiB", options.model.path, facts.architecture, facts.quantization,
               static_cast<double>(facts.parameters) / 1e6, static_cast<double>(facts.weight_bytes) / (1 << 20));
  WarnAboutSettings(options, facts);

  const LayerMemory memory = FindLayerMemory(options.llama_cpp.weights, static_cast<int>(facts.layers));
  SayWhereLayersLie(memory);
  const auto choice = ChooseContext(options, facts, *budget_mb, memory.available_bytes());
  if (!choice) return std::unexpected(choice.error());
  loaded.kv_bytes_per_token = choice->kv.bytes_per_sequence / std::max(1, choice->context);
  const auto pooling = ChoosePooling(facts, options.model.pooling);
  if (!pooling) return std::unexpected(pooling.error());
  loaded.pooling = *pooling;
  const auto create = facts.generates ? LlamaCppEngine::Create : LlamaCppEncoder::Create;
  auto engine = create(*loaded.model, EngineOptions(options, memory), *pooling, choice->kv.sequences, choice->context);
  if (!engine) return std::unexpected(engine.error());
  loaded.engine = std::move(*engine);
  SayWhatIsServed(options, *choice, loaded);
  return loaded;
}

}  // namespace cllm
