#include "engine/llamacpp/model_context.h"

#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "engine/llamacpp/kv_type.h"

namespace cllm {
namespace {

// llama.cpp rounds a stream's cells up to a multiple of this.
constexpr int kCellPadding = 256;

llama_flash_attn_type FlashAttention(const std::string& name) {
  if (name == "on") return LLAMA_FLASH_ATTN_TYPE_ENABLED;
  if (name == "off") return LLAMA_FLASH_ATTN_TYPE_DISABLED;
  return LLAMA_FLASH_ATTN_TYPE_AUTO;
}

llama_rope_scaling_type RopeScaling(const std::string& name) {
  if (name == "none") return LLAMA_ROPE_SCALING_TYPE_NONE;
  if (name == "linear") return LLAMA_ROPE_SCALING_TYPE_LINEAR;
  if (name == "yarn") return LLAMA_ROPE_SCALING_TYPE_YARN;
  return LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED;
}

}  // namespace

int PaddedContext(int max_context) { return (max_context + kCellPadding - 1) / kCellPadding * kCellPadding; }

llama_context_params ContextParams(const LlamaCppOptions& options, int step_tokens) {
  llama_context_params params = llama_context_default_params();
  params.n_batch = step_tokens;
  params.n_ubatch = step_tokens;
  params.n_threads = MostComputeThreads(options.n_threads);
  params.n_threads_batch = params.n_threads;
  params.flash_attn_type = FlashAttention(options.flash_attention);
  params.type_k = KvType(options.kv_type);
  params.type_v = params.type_k;
  params.kv_unified = false;
  params.rope_scaling_type = RopeScaling(options.rope_scaling);
  params.rope_freq_base = static_cast<float>(options.rope_freq_base);
  params.rope_freq_scale = static_cast<float>(options.rope_freq_scale);
  params.no_perf = true;
  return params;
}

Result<std::unique_ptr<ModelContext>> ModelContext::Create(const Model& model, const LlamaCppOptions& options, llama_context_params params,
                                                           const std::string& purpose) {
  auto context = std::make_unique<ModelContext>();
  try {
    context->handle = llama_init_from_model(model.handle(), params);
  } catch (const std::exception& error) {
    return InvalidArgument(fmt::format("llama.cpp cannot make a context: {}", error.what()), "backend.llama_cpp");
  }
  if (context->handle == nullptr) {
    return InvalidArgument(fmt::format("llama.cpp cannot make a context {} with kv_type {} and flash_attention {} "
                                       "(run with --log-level debug to see why)",
                                       purpose, options.kv_type, options.flash_attention),
                           "backend.llama_cpp");
  }
  context->batch = llama_batch_init(static_cast<std::int32_t>(params.n_batch), 0, 1);
  context->threads.emplace(context->handle, options.n_threads <= 0);
  return context;
}

ModelContext::~ModelContext() {
  if (batch.token != nullptr) llama_batch_free(batch);
  if (handle != nullptr) llama_free(handle);
}

void ModelContext::AddRow(llama_token token, int position, int sequence, bool gives_output) {
  const int row = batch.n_tokens++;
  batch.token[row] = token;
  batch.pos[row] = position;
  batch.n_seq_id[row] = 1;
  batch.seq_id[row][0] = sequence;
  batch.logits[row] = static_cast<std::int8_t>(gives_output);
}

int ModelContext::Compute() {
  int code = -1;
  try {
    code = llama_decode(handle, batch);
    if (code == 0) llama_synchronize(handle);
  } catch (const std::exception& error) {
    spdlog::error("llama.cpp failed in a step: {}", error.what());
  }
  batch.n_tokens = 0;
  return code;
}

}  // namespace cllm
