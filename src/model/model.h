// A GGUF model through llama.cpp: its weights' handle, its facts and its tokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/work_watch.h"
#include "model/model_facts.h"
#include "model/tokenizer.h"

struct llama_model;
struct llama_model_params;

namespace cllm {

// For ModelOptions::max_context_length.
inline constexpr int kTrainedContext = 0;  // what the model was trained for
inline constexpr int kAutoContext = -1;    // that or less, as memory allows

struct ModelOptions {
  std::string path;                       // a GGUF file
  int max_context_length = kAutoContext;  // tokens of one request, prompt and answer together
  std::string quantization;               // what the file is expected to be, e.g. q4_k_m; empty = whatever it is
  // Instead of the file's chat template: a text or a name, or the file that has it. Empty = the file's own.
  std::string chat_template;
  std::string chat_template_file;
  std::string pooling = "auto";  // of embeddings; see ChoosePooling
};

// How llama.cpp holds the weights.
struct WeightOptions {
  bool use_mmap = true;
  bool use_mlock = false;
  int n_gpu_layers = -1;             // -1 = all, where the build has a GPU backend
  std::string split_mode = "layer";  // none | layer | row
  int main_gpu = 0;
  std::vector<double> tensor_split = {};  // share of each GPU; empty = by free memory
};

// Whether `wanted` ("q4_k_m") names the file type that llama.cpp describes as `actual` ("Q4_K - Medium").
bool QuantizationMatches(const std::string& wanted, const std::string& actual);

class Model {
 public:
  // Loads the whole model. Seconds for a large one, after any of which `watch` may end it; call it off the event loops. llama.cpp
  // trusts the file: call CheckModelFile first. What is copied of a mapped file does not stay resident twice.
  static Result<std::unique_ptr<Model>> Load(const std::string& path, const WeightOptions& options, const WorkWatch& watch = {});
  // Everything but the weights, on the CPU: nothing can be computed, but tokenizer, template and contexts work.
  static Result<std::unique_ptr<Model>> LoadWithoutWeights(const std::string& path);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // What the file says about the model.
  const ModelFacts& facts() const { return facts_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  llama_model* handle() const { return handle_; }

  // Whether llama.cpp can use a GPU: this build has a backend for one, and one is there.
  static bool HasGpuSupport();
  // Whether this build has a backend for GPUs.
  static bool HasGpuBackend();

 private:
  Model(llama_model* handle, ModelFacts facts);
  static Result<std::unique_ptr<Model>> LoadWith(const std::string& path, llama_model_params params, const WorkWatch& watch);

  llama_model* handle_;
  ModelFacts facts_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace cllm
