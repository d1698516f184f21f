#include "cli/settings_check.h"

#include <initializer_list>
#include <string_view>

#include <fmt/format.h>

#include "cli/model_list.h"
#include "cli/models.h"
#include "formats/gguf_file.h"
#include "http/api_keys.h"
#include "http/cors.h"
#include "http/tls_files.h"
#include "hub/reference.h"
#include "model/model_facts.h"
#include "model/pooling.h"

namespace cllm {
namespace {

class Checker {
 public:
  explicit Checker(const OptionTable& table) : table_(table) {}

  // Blames the first of `keys` that was set; where none was, the defaults are what they are meant to be.
  void Warn(std::initializer_list<std::string_view> keys, const std::string& message) { Add(false, keys, message); }
  void Fail(std::initializer_list<std::string_view> keys, const std::string& message) { Add(true, keys, message); }

  std::vector<SettingFinding> Take() { return std::move(findings_); }

 private:
  void Add(bool is_error, std::initializer_list<std::string_view> keys, const std::string& message) {
    for (const std::string_view key : keys) {
      const ConfigOption* option = table_.Find(key);
      if (option == nullptr || option->source.kind == ValueSource::Kind::kDefault) continue;
      findings_.push_back({is_error, option->source, option->key, message});
      return;
    }
  }

  const OptionTable& table_;
  std::vector<SettingFinding> findings_;
};

void CheckModelFacts(const ModelOptions& model, const ModelFacts& facts, Checker& checker) {
  if (!model.quantization.empty() && !QuantizationMatches(model.quantization, facts.quantization)) {
    checker.Warn({"model.quantization"}, fmt::format("says {}, but the file is {}", model.quantization, facts.quantization));
  }
  if (const auto pooling = ChoosePooling(facts, model.pooling); !pooling) checker.Fail({"model.pooling"}, pooling.error().message);
  if (facts.trained_context > 0 && model.max_context_length > facts.trained_context) {
    checker.Warn({"model.max_context_length"}, fmt::format("{} is more than the {} tokens that the model was trained for",
                                                           model.max_context_length, facts.trained_context));
  }
}

// What can be said without a download and without loading a weight.
void CheckModelPath(const ModelOptions& model, Checker& checker) {
  if (IsToBePulled(model.path)) {
    const auto reference = ParseReference(model.path);
    if (!model.path.empty() && !reference) checker.Fail({"model.path"}, reference.error().message);
    return;
  }
  const auto path = FindLocalModel(model.path);
  if (!path) return checker.Fail({"model.path"}, path.error().message);
  const auto gguf = GgufFile::Open(*path);
  if (!gguf) return checker.Fail({"model.path"}, gguf.error().message);
  if (const Status good = CheckModelMetadata(*gguf); !good) return checker.Fail({"model.path"}, good.error().message);
  const auto facts = ReadModelFacts(*gguf);
  if (!facts) return checker.Fail({"model.path"}, facts.error().message);
  CheckModelFacts(model, *facts, checker);
}

void CheckModel(const ServeOptions& options, Checker& checker) {
  const ModelOptions& model = options.model;
  if (options.isolate && options.models_file.empty()) {
    checker.Fail({"models.isolate"}, "it is for the models of models.list_file, and there is none");
  }
  if (options.models_file.empty()) {
    CheckModelPath(model, checker);
  } else if (const auto list = ReadModelList(options.models_file, options); !list) {
    checker.Fail({"models.list_file"}, list.error().message);
  }
  if (model.max_context_length > 0 && options.defaults.generate_max_tokens >= model.max_context_length) {
    checker.Warn({"model.default_max_tokens"},
                 fmt::format("{} tokens never fit beside a prompt into max_context_length {}: answers will be shorter",
                             options.defaults.generate_max_tokens, model.max_context_length));
  }
}

void CheckEngine(const ServeOptions& options, int cores, Checker& checker) {
  const LlamaCppOptions& llama = options.llama_cpp;
  const WeightOptions& weights = llama.weights;
  if (llama.n_threads > cores) {
    checker.Warn({"backend.llama_cpp.n_threads"},
                 fmt::format("{} threads, but {} cores may be used here: {} will compute", llama.n_threads, cores, cores));
  }
  if (weights.n_gpu_layers > 0 && !Model::HasGpuSupport()) {
    checker.Warn({"backend.llama_cpp.n_gpu_layers"},
                 fmt::format("{}: everything runs on the CPU",
                             Model::HasGpuBackend() ? "there is no GPU that this build can use" : "this build has no GPU backend"));
  }
  const bool quantised_cache = llama.kv_type == "q8_0" || llama.kv_type == "q4_0";
  if (quantised_cache && llama.flash_attention == "off") {
    checker.Fail({"backend.llama_cpp.kv_type", "backend.llama_cpp.flash_attention"},
                 fmt::format("kv_type {} needs flash_attention on or auto", llama.kv_type));
  }
  if (weights.main_gpu > 0 && weights.split_mode != "none") {
    checker.Warn({"backend.llama_cpp.main_gpu"}, fmt::format("has no effect where split_mode is {}", weights.split_mode));
  }
  if (!weights.tensor_split.empty() && weights.split_mode == "none") {
    checker.Warn({"backend.llama_cpp.tensor_split"}, "has no effect where split_mode is none");
  }
}

void CheckServer(const HttpOptions& http, Checker& checker) {
  if (http.min_threads > http.num_threads) {
    checker.Warn({"server.min_threads", "server.num_threads"},
                 fmt::format("min_threads {} is more than num_threads {}: there will be {} event loops", http.min_threads, http.num_threads,
                             http.min_threads));
  }
  const auto keys = ApiKeys::Create(http.api_keys, http.api_key_file);
  if (!keys) checker.Fail({keys.error().field, "server.api_key_file", "server.api_keys"}, keys.error().message);
  if (const auto admins = ApiKeys::Create(http.admin_api_keys, {}); !admins)
    checker.Fail({"server.admin_api_keys"}, admins.error().message);
  if (const auto cors = Cors::Create(http.cors_origins); !cors) checker.Fail({"http.cors_origins"}, cors.error().message);
  if (const Status tls = CheckTlsFiles(http.tls_certificate, http.tls_key); !tls) {
    checker.Fail({tls.error().field, "server.tls_certificate", "server.tls_key"}, tls.error().message);
  }
}

}  // namespace

std::vector<SettingFinding> CheckSettings(const ServeOptions& options, const OptionTable& table, int cores) {
  Checker checker(table);
  CheckServer(options.http, checker);
  CheckModel(options, checker);
  CheckEngine(options, cores, checker);
  const SchedulerOptions& scheduler = options.scheduler;
  if (scheduler.max_batch_size < options.llama_cpp.n_seq_max) {
    checker.Warn({"scheduler.max_batch_size", "backend.llama_cpp.n_seq_max"},
                 fmt::format("max_batch_size {} is less than n_seq_max {}: {} requests run at a time, and the KV cache of the "
                             "others is memory lost",
                             scheduler.max_batch_size, options.llama_cpp.n_seq_max, scheduler.max_batch_size));
  }
  if (scheduler.batch_timeout_ms >= scheduler.request_timeout * 1000) {
    checker.Warn({"scheduler.batch_timeout_ms", "scheduler.request_timeout"},
                 fmt::format("a wait of up to {} ms for company is longer than the whole request_timeout of {} s",
                             scheduler.batch_timeout_ms, scheduler.request_timeout));
  }
  return checker.Take();
}

}  // namespace cllm
