#include "model/model.h"

#include <ggml-backend.h>
#include <llama.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/log.h"
#include "formats/file_pages.h"

namespace cllm {
namespace {

// The first error that llama.cpp logs while a model loads: it explains a failure that the call only reports. What follows
// says only that loading failed.
struct LogCapture {
  std::mutex mutex;
  std::string first_error;
};

// "llama_model_load: error loading model: x" → "error loading model: x".
std::string WithoutFunction(const std::string& line) {
  const std::size_t colon = line.find(": ");
  const bool is_function = std::ranges::all_of(line.substr(0, colon), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  return is_function && colon != std::string::npos ? line.substr(colon + 2) : line;
}

void OnLlamaLog(ggml_log_level level, const char* text, void* user_data) {
  std::string line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  if (line.empty() || level == GGML_LOG_LEVEL_CONT) return;
  if (level == GGML_LOG_LEVEL_ERROR && user_data != nullptr) {
    auto* capture = static_cast<LogCapture*>(user_data);
    const std::lock_guard lock(capture->mutex);
    if (capture->first_error.empty()) capture->first_error = WithoutFunction(line);
  }
  spdlog::debug("llama.cpp: {}", line);
}

// What llama.cpp tells of a load after each tensor.
class LoadProgress {
 public:
  LoadProgress(const std::string& path, const WorkWatch& watch, bool maps_file) : path_(path), watch_(watch), maps_file_(maps_file) {}

  // For llama_model_params.
  static bool OnTensor(float done, void* self) { return static_cast<LoadProgress*>(self)->Report(done); }
  // An error where the load was ended.
  const Status& wanted() const { return wanted_; }

 private:
  // The mapping comes with all of its pages, and most weights are copied out of it.
  bool Report(double done) {
    constexpr double kBetweenDrops = 0.02;
    if (maps_file_ && (dropped_at_ < 0 || done >= dropped_at_ + kBetweenDrops || done >= 1)) {
      DropMappedPages(path_);
      dropped_at_ = done;
    }
    wanted_ = watch_.Report(done);
    return wanted_.has_value();
  }

  const std::string& path_;
  const WorkWatch& watch_;
  const bool maps_file_;
  double dropped_at_ = -1;
  Status wanted_;
};

Result<ModelFacts> FactsOf(const std::string& path) {
  const auto file = GgufFile::Open(path);
  if (!file) return std::unexpected(file.error());
  return ReadModelFacts(*file);
}

llama_load_mode LoadMode(const WeightOptions& options) {
  if (options.use_mmap) return options.use_mlock ? LLAMA_LOAD_MODE_MMAP_MLOCK : LLAMA_LOAD_MODE_MMAP;
  return options.use_mlock ? LLAMA_LOAD_MODE_MLOCK : LLAMA_LOAD_MODE_NONE;
}

llama_split_mode SplitMode(const std::string& name) {
  if (name == "none") return LLAMA_SPLIT_MODE_NONE;
  if (name == "row") return LLAMA_SPLIT_MODE_ROW;
  return LLAMA_SPLIT_MODE_LAYER;
}

// llama.cpp is about to abort: one line instead of a backtrace, and an exit code that says failure and not crash.
void OnAbort(const char* message) {
  const std::string line = "cllm: llama.cpp gives up: " + Escaped(message) + "\n";
  _exit(write(STDERR_FILENO, line.data(), line.size()) < 0 ? 2 : 1);
}

}  // namespace

bool QuantizationMatches(const std::string& wanted, const std::string& actual) {
  // "Q4_K - Medium" → "q4_k_m", "all F32" → "f32", "Q8_0" → "q8_0", "(guessed) Q4_0" → "q4_0".
  const auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  std::string name = lower(actual);
  for (const std::string_view prefix : {"(guessed) ", "all "}) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  }
  if (const auto dash = name.find(" - "); dash != std::string::npos) {
    const std::string size = name.substr(dash + 3);
    name.erase(dash);
    if (size == "small" || size == "medium" || size == "large") name += std::string("_") + size[0];
  }
  return lower(wanted) == name;
}

bool Model::HasGpuSupport() {
  // The first question starts the GPU's driver, and ggml logs what it finds.
  static const bool has = [] {
    llama_log_set(OnLlamaLog, nullptr);
    return llama_supports_gpu_offload();
  }();
  return has;
}

bool Model::HasGpuBackend() {
  for (std::size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    const std::string_view name = ggml_backend_reg_name(ggml_backend_reg_get(i));
    if (name != "CPU" && name != "BLAS") return true;
  }
  return false;
}

Model::Model(llama_model* handle, ModelFacts facts)
    : handle_(handle), facts_(std::move(facts)), tokenizer_(std::make_unique<Tokenizer>(llama_model_get_vocab(handle))) {}

Model::~Model() { llama_model_free(handle_); }

Result<std::unique_ptr<Model>> Model::Load(const std::string& path, const WeightOptions& options, const WorkWatch& watch) {
  ggml_set_abort_callback(OnAbort);
  llama_model_params params = llama_model_default_params();
  params.load_mode = LoadMode(options);
  params.n_gpu_layers = HasGpuSupport() ? options.n_gpu_layers : 0;
  params.split_mode = SplitMode(options.split_mode);
  params.main_gpu = options.main_gpu;
  std::vector<float> split(llama_max_devices(), 0.0F);
  if (options.tensor_split.size() > split.size()) {
    return InvalidArgument(
        fmt::format("tensor_split names {} devices, this build has at most {}", options.tensor_split.size(), split.size()),
        "backend.llama_cpp.tensor_split");
  }
  std::ranges::copy(options.tensor_split, split.begin());
  if (!options.tensor_split.empty()) params.tensor_split = split.data();
  constexpr double kReadAhead = 0.5;  // of the time that a file takes which isn't in the system's cache, or more
  if (options.use_mmap) {
    if (Status status = ReadAhead(path, watch.Part(0, kReadAhead)); !status) return std::unexpected(status.error());
  }
  return LoadWith(path, params, options.use_mmap ? watch.Part(kReadAhead, 1) : watch);
}

Result<std::unique_ptr<Model>> Model::LoadWithoutWeights(const std::string& path) {
  llama_model_params params = llama_model_default_params();
  params.no_alloc = true;
  params.load_mode = LLAMA_LOAD_MODE_NONE;  // it asserts that nothing is mapped
  params.n_gpu_layers = 0;
  ggml_backend_dev_t no_device = nullptr;
  params.devices = &no_device;
  return LoadWith(path, params, {});
}

Result<std::unique_ptr<Model>> Model::LoadWith(const std::string& path, llama_model_params params, const WorkWatch& watch) {
  auto facts = FactsOf(path);
  if (!facts) return std::unexpected(facts.error());
  LoadProgress progress(path, watch, params.load_mode == LLAMA_LOAD_MODE_MMAP);
  params.progress_callback = LoadProgress::OnTensor;
  params.progress_callback_user_data = &progress;
  LogCapture capture;
  llama_log_set(OnLlamaLog, &capture);
  llama_backend_init();
  llama_model* handle = nullptr;
  std::string reason;
  try {
    handle = llama_model_load_from_file(path.c_str(), params);
  } catch (const std::exception& error) {
    reason = error.what();
  }
  llama_log_set(OnLlamaLog, nullptr);
  if (!progress.wanted()) return std::unexpected(progress.wanted().error());
  if (handle == nullptr) {
    if (reason.empty()) reason = capture.first_error;
    return InvalidArgument(fmt::format("llama.cpp cannot load {}: {}", path, reason), "model.path");
  }
  std::unique_ptr<Model> model(new Model(handle, std::move(*facts)));
  if (!llama_model_has_decoder(handle) || llama_model_has_encoder(handle) || llama_model_is_diffusion(handle)) {
    return InvalidArgument(fmt::format("{} ({}) does not generate text token by token", path, model->facts().architecture), "model.path");
  }
  return model;
}

}  // namespace cllm
