// A context of llama.cpp with what it computes with.
#pragma once

#include <llama.h>

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "engine/llamacpp/compute_threads.h"
#include "engine/llamacpp/llamacpp_options.h"
#include "model/model.h"

namespace cllm {

struct ModelContext {
  // What an engine sets of its own in `params` stays; the rest is what the options say. `purpose` is for an error: "for 8 sequences".
  static Result<std::unique_ptr<ModelContext>> Create(const Model& model, const LlamaCppOptions& options, llama_context_params params,
                                                      const std::string& purpose);
  ModelContext() = default;
  ModelContext(const ModelContext&) = delete;
  ModelContext& operator=(const ModelContext&) = delete;
  ~ModelContext();

  // Adds a row to the batch, whose rows are numbered from 0.
  void AddRow(llama_token token, int position, int sequence, bool gives_output);
  // Computes the batch and empties it; 0 is success, anything else llama.cpp's code.
  int Compute();

  std::optional<ComputeThreads> threads;  // outlives the handle
  llama_context* handle = nullptr;
  llama_batch batch{};
};

// Parameters of a context as the options have them, for `step_tokens` rows at a time.
llama_context_params ContextParams(const LlamaCppOptions& options, int step_tokens);

// llama.cpp rounds a stream's cells up.
int PaddedContext(int max_context);

}  // namespace cllm
