#include "engine/llamacpp/llamacpp_engine.h"

#include <ggml-cpu.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/invariant.h"
#include "base/log.h"
#include "base/machine.h"
#include "engine/llamacpp/attention_op.h"
#include "engine/llamacpp/matmul_op.h"
#include "engine/llamacpp/thread_choice.h"

namespace cllm {
namespace {

// From this many rows of a sequence on, ggml's attention works in tiles, whose sums differ in their last bits. Ours has one order.
constexpr int kRowsOfAnAttentionTile = 64;
constexpr int kMostRowsOfAPass = 512;
// From this many on, ggml multiplies with K-quants in tiles (ggml_tiled_min_batch); with 16-bit weights from two on.
constexpr int kRowsOfAMatrixTile = 8;

// Of the step by which the number of threads is chosen: about what a few running answers are.
constexpr int kRowsOfATrial = 4;

// llama.cpp rounds a stream's cells up to a multiple of this.
constexpr int kCellPadding = 256;
// Sequence ids beyond this do not exist in llama.cpp (LLAMA_MAX_SEQ).
constexpr int kMostSequences = 256;

ggml_type KvType(const std::string& name) {
  if (name == "f32") return GGML_TYPE_F32;
  if (name == "bf16") return GGML_TYPE_BF16;
  if (name == "q8_0") return GGML_TYPE_Q8_0;
  if (name == "q4_0") return GGML_TYPE_Q4_0;
  return GGML_TYPE_F16;
}

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

// Whether our kernel computes all attention of `model`: a name stands for an architecture without soft caps, sinks and biases by
// position. Of one that isn't named a part may be ours.
bool AttentionIsOurs(const Model& model, const LlamaCppOptions& options) {
  constexpr std::array kPlain = {"llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma3", "phi3", "smollm3"};
  const ModelFacts& facts = model.facts();
  return !Model::HasGpuSupport() && options.kv_type == "f16" && options.flash_attention != "off" &&
         std::ranges::find(kPlain, facts.architecture) != kPlain.end() &&
         AttentionHeadsAreOurs(facts.key_size, facts.value_size, facts.heads, facts.kv_heads);
}

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int PaddedContext(int max_context) { return (max_context + kCellPadding - 1) / kCellPadding * kCellPadding; }

int ThreadCount(int wanted) {
  const int cores = AvailableCores();
  if (wanted <= 0) return cores;
  if (wanted <= cores) return wanted;
  spdlog::warn("backend.llama_cpp.n_threads {} is more than the {} cores of this machine: using {}", wanted, cores, cores);
  return cores;
}

}  // namespace

struct LlamaCppEngine::Context {
  using Threads = std::unique_ptr<ggml_threadpool, decltype(&ggml_threadpool_free)>;

  // By number. Those that don't compute sleep; a step that changes the number starts none. The context may compute with any of them
  // until it is freed.
  std::map<int, Threads> threads;
  llama_context* handle = nullptr;
  llama_batch batch{};
  ~Context() {
    if (batch.token != nullptr) llama_batch_free(batch);
    if (handle != nullptr) llama_free(handle);
  }

  void UseThreads(int count) {
    auto pool = threads.find(count);
    if (pool == threads.end()) {
      ggml_threadpool_params params = ggml_threadpool_params_default(count);
      pool = threads.emplace(count, Threads(ggml_threadpool_new(&params), ggml_threadpool_free)).first;
    }
    llama_set_n_threads(handle, count, count);
    llama_attach_threadpool(handle, pool->second.get(), pool->second.get());
  }
};

Result<std::int64_t> KvBudget(std::int64_t weight_bytes, std::int64_t limit_mb, std::int64_t kv_mb) {
  if (limit_mb == 0) return kv_mb;
  constexpr std::int64_t kBytesPerMb = 1 << 20;
  const std::int64_t weights_mb = (weight_bytes + kBytesPerMb - 1) / kBytesPerMb;
  const std::int64_t left_mb = limit_mb - weights_mb;
  if (left_mb < 1) {
    return InvalidArgument(fmt::format("the weights take {} MiB, the {} MiB of resources.memory_limit_mb leave nothing for the KV cache: "
                                       "raise it, or choose a smaller quantisation of the model",
                                       weights_mb, limit_mb),
                           "resources.memory_limit_mb");
  }
  return kv_mb > 0 ? std::min(kv_mb, left_mb) : left_mb;
}

std::int64_t KvBytesPerToken(const ModelFacts& model, const LlamaCppOptions& options) {
  const ggml_type type = KvType(options.kv_type);
  return model.kv_bytes_per_token_f16 / 2 * static_cast<std::int64_t>(ggml_type_size(type)) / ggml_blck_size(type);
}

std::int64_t ComputeBytes(const ModelFacts& model, const LlamaCppOptions& options, int sequences) {
  const std::int64_t rows = std::min(std::max(options.n_batch, sequences), kMostRowsOfAPass);
  // llama.cpp reserves logits for each row of a pass, and the engine has those of each sequence's last row.
  const std::int64_t logits = (rows + sequences) * model.vocab_size * std::int64_t{sizeof(float)};
  constexpr std::int64_t kNumbersBetweenLayers = 16;  // of an embedding's size, of one row
  const std::int64_t between = rows * model.embedding_size * kNumbersBetweenLayers * std::int64_t{sizeof(float)};
  return logits + between;
}

Result<KvSizing> SizeKvCache(const ModelFacts& model, const LlamaCppOptions& options, int max_context, std::int64_t budget_mb,
                             std::int64_t available_bytes) {
  KvSizing sizing;
  sizing.bytes_per_sequence = KvBytesPerToken(model, options) * PaddedContext(max_context);
  sizing.budget_bytes = budget_mb > 0 ? budget_mb << 20 : available_bytes / 10 * 9;
  const std::int64_t wanted = std::min(options.n_seq_max, kMostSequences);
  sizing.sequences =
      static_cast<int>(sizing.bytes_per_sequence > 0 ? std::min(wanted, sizing.budget_bytes / sizing.bytes_per_sequence) : wanted);
  if (sizing.sequences < 1) {
    return InvalidArgument(fmt::format("one request of {} tokens needs {} MiB of KV cache, only {} MiB may be used: lower "
                                       "model.max_context_length, choose a smaller backend.llama_cpp.kv_type, or raise "
                                       "resources.kv_cache_max_memory_mb or resources.memory_limit_mb",
                                       max_context, sizing.bytes_per_sequence >> 20, sizing.budget_bytes >> 20),
                           "resources.kv_cache_max_memory_mb");
  }
  return sizing;
}

Result<std::unique_ptr<LlamaCppEngine>> LlamaCppEngine::Create(const Model& model, const LlamaCppOptions& options, int sequences,
                                                               int max_context) {
  UseOwnAttention();
  const bool attention_is_ours = AttentionIsOurs(model, options);
  // Then a row's bytes don't depend on what is computed beside it, and decodes and prompts may share a pass.
  const bool all_is_ours = attention_is_ours && AllWeightsAreOurs(model.handle());
  const int step_tokens = std::max(options.n_batch, sequences);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(PaddedContext(max_context)) * sequences;
  params.n_batch = step_tokens;
  params.n_ubatch = std::min(step_tokens, kMostRowsOfAPass);
  params.n_seq_max = sequences;
  params.n_threads = ThreadCount(options.n_threads);
  params.n_threads_batch = params.n_threads;
  params.flash_attn_type = FlashAttention(options.flash_attention);
  params.type_k = KvType(options.kv_type);
  params.type_v = params.type_k;
  params.kv_unified = false;
  auto origins = std::make_unique<StreamOrigins>(sequences);
  params.kv_ragged = all_is_ours;
  params.kv_ragged_data = origins.get();
  if (all_is_ours) params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.rope_scaling_type = RopeScaling(options.rope_scaling);
  params.rope_freq_base = static_cast<float>(options.rope_freq_base);
  params.rope_freq_scale = static_cast<float>(options.rope_freq_scale);
  params.no_perf = true;

  auto context = std::make_unique<Context>();
  try {
    context->handle = llama_init_from_model(model.handle(), params);
  } catch (const std::exception& error) {
    return InvalidArgument(fmt::format("llama.cpp cannot make a context: {}", error.what()), "backend.llama_cpp");
  }
  if (context->handle == nullptr) {
    return InvalidArgument(
        fmt::format("llama.cpp cannot make a context for {} sequences of {} tokens with kv_type {} and flash_attention {} "
                    "(run with --log-level debug to see why)",
                    sequences, max_context, options.kv_type, options.flash_attention),
        "backend.llama_cpp");
  }
  context->batch = llama_batch_init(step_tokens, 0, 1);
  const bool is_one_pass = llama_kv_is_ragged(context->handle);
  const int rows_after_prefix = all_is_ours ? 1 : attention_is_ours ? kRowsOfAMatrixTile : kRowsOfAnAttentionTile;
  EngineCapabilities capabilities{.name = "llama_cpp",
                                  .vocab_size = model.tokenizer().vocab_size(),
                                  .max_sequences = sequences,
                                  .max_step_tokens = step_tokens,
                                  .max_context = max_context,
                                  .prefers_dense_slots = !is_one_pass,
                                  .computes_prompts_apart = !is_one_pass,
                                  .can_copy_sequences = true,
                                  .copies_whole_slots = Model::HasGpuSupport() || options.flash_attention == "off",
                                  // Recurrent state has no positions. (Sliding windows are kept at full size, so theirs can go.)
                                  .can_trim_sequences = !llama_model_is_recurrent(model.handle()) && !llama_model_is_hybrid(model.handle()),
                                  .rows_after_prefix = rows_after_prefix};
  return std::unique_ptr<LlamaCppEngine>(new LlamaCppEngine(std::move(context), std::move(origins), std::move(capabilities), options));
}

LlamaCppEngine::LlamaCppEngine(std::unique_ptr<Context> context, std::unique_ptr<StreamOrigins> origins, EngineCapabilities capabilities,
                               const LlamaCppOptions& options)
    : origins_(std::move(origins)),
      context_(std::move(context)),
      capabilities_(std::move(capabilities)),
      threads_(llama_n_threads(context_->handle)),
      threads_are_open_(options.n_threads <= 0) {}

LlamaCppEngine::~LlamaCppEngine() = default;

Status LlamaCppEngine::WarmUp() {
  UseThreads(threads_);
  Status status = TrialStep(2);
  if (!status || !threads_are_open_) return status;
  const std::vector<int> candidates = ThreadCandidates(threads_);
  const int best = ChooseThreadCount(candidates, [&](int threads) {
    UseThreads(threads);
    if (status) status = TrialStep(1);  // the first one with new threads
    const double start = Now();
    if (status) status = TrialStep(kRowsOfATrial);
    return std::chrono::duration<double>(Now() - start);
  });
  UseThreads(best);
  threads_ = best;
  if (!status) return status;
  spdlog::info("{} of at most {} threads compute", best, candidates.front());
  controller_.emplace(candidates, best, Now());
  watch_.Look(Now());
  return status;
}

Status LlamaCppEngine::TrialStep(int rows) {
  StepPlan plan;
  plan.sequences.push_back({.rows = rows, .wants_logits = true});
  plan.tokens.assign(rows, 0);
  StepResult result;
  Wait(Submit(plan), result);
  Apply({.kind = KvOperation::Kind::kDrop, .slot = 0});
  return result.sequences.at(0).status;
}

void LlamaCppEngine::UseThreads(int threads) {
  if (threads != llama_n_threads(context_->handle) || context_->threads.empty()) context_->UseThreads(threads);
}

void LlamaCppEngine::ChooseThreads() {
  if (!controller_) return;
  const double now = Now();
  if (const auto window = watch_.Look(now)) controller_->ObserveFree(now, window->seconds, window->free);
  UseThreads(controller_->Begin(now));
}

void LlamaCppEngine::LearnFrom(const StepPlan& plan) {
  if (!controller_) return;
  controller_->End(Now(), plan.expected_s);
  const int threads = controller_->threads();
  if (threads == threads_) return;
  spdlog::info("{} threads compute from now on, {} did", threads, threads_.load());
  threads_ = threads;
}

Ticket LlamaCppEngine::Submit(const StepPlan& plan) {
  CheckInvariant(plan_ == nullptr, "each Submit has its Wait");
  CheckInvariant(static_cast<int>(plan.tokens.size()) <= capabilities_.max_step_tokens, "a step has no more tokens than may be");
  plan_ = &plan;
  return ++ticket_;
}

void LlamaCppEngine::Wait(Ticket ticket, StepResult& result) {
  CheckInvariant(ticket == ticket_ && plan_ != nullptr, "a Wait is for the last Submit");
  const StepPlan& plan = *plan_;
  plan_ = nullptr;
  for (const KvOperation& operation : plan.operations) Apply(operation);
  result.sequences.assign(plan.sequences.size(), {});
  result.prompt_seconds = 0;
  if (plan.sequences.empty()) return;
  ChooseThreads();
  if (!ComputeTogether(plan, result)) ComputeOneByOne(plan, result);
  LearnFrom(plan);
}

// Where the cache isn't ragged, decodes and prompts go in two calls. In one llama.cpp would compute equally many rows of each sequence
// at a time, so it would pass over the weights twice all the same, and every decode would attend over as many positions as the longest
// prompt has. The prompts go first: their logits, which the second call overwrites, are seldom wanted.
bool LlamaCppEngine::ComputeTogether(const StepPlan& plan, StepResult& result) {
  const std::size_t all = plan.sequences.size();
  const auto first_prompt = std::ranges::find_if(plan.sequences, [](const SequenceWork& work) { return work.rows > 1; });
  const auto decodes = static_cast<std::size_t>(first_prompt - plan.sequences.begin());
  const bool is_apart = capabilities_.computes_prompts_apart && decodes > 0 && decodes < all;
  if (is_apart) {
    const auto start = std::chrono::steady_clock::now();
    if (Decode(plan, decodes, all - decodes) != 0) return false;
    CollectLogits(plan, decodes, all - decodes, result);
    SaveLogits(decodes, result);
    result.prompt_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const std::size_t rest = is_apart ? decodes : all;
  if (Decode(plan, 0, rest) != 0) return false;
  CollectLogits(plan, 0, rest, result);
  return true;
}

void LlamaCppEngine::Apply(const KvOperation& operation) {
  llama_memory_t memory = llama_get_memory(context_->handle);
  switch (operation.kind) {
    case KvOperation::Kind::kDrop:
      Cut(operation.slot, 0);
      break;
    case KvOperation::Kind::kMove:
      llama_memory_seq_cp(memory, operation.slot, operation.target_slot, -1, -1);
      llama_memory_seq_rm(memory, operation.slot, -1, -1);
      origins_->Moved(operation.slot, operation.target_slot);
      break;
    case KvOperation::Kind::kCopy:  // between streams only as a whole
      llama_memory_seq_cp(memory, operation.slot, operation.target_slot, -1, -1);
      llama_memory_seq_rm(memory, operation.target_slot, operation.tokens, -1);
      origins_->Copied(operation.slot, operation.target_slot, operation.tokens);
      break;
    case KvOperation::Kind::kTrim:
      Cut(operation.slot, operation.tokens);
      break;
    case KvOperation::Kind::kCopyBlock:
      break;  // there are none here
  }
}

void LlamaCppEngine::Cut(int slot, int tokens) {
  llama_memory_seq_rm(llama_get_memory(context_->handle), slot, tokens > 0 ? tokens : -1, -1);
  origins_->Cut(slot, tokens);
}

// Runs sequences [first, first + count) of the plan; 0 is success, anything else llama.cpp's code.
int LlamaCppEngine::Decode(const StepPlan& plan, std::size_t first, std::size_t count) {
  llama_batch& batch = context_->batch;
  int rows = 0;
  for (std::size_t s = first; s < first + count; ++s) {
    const SequenceWork& work = plan.sequences[s];
    for (int row = 0; row < work.rows; ++row, ++rows) {
      batch.token[rows] = plan.tokens[work.first_row + row];
      batch.pos[rows] = work.computed + row;
      batch.n_seq_id[rows] = 1;
      batch.seq_id[rows][0] = work.slot;
      batch.logits[rows] = static_cast<std::int8_t>(work.wants_logits && row == work.rows - 1);
    }
  }
  batch.n_tokens = rows;
  try {
    const int code = llama_decode(context_->handle, batch);
    if (code == 0) llama_synchronize(context_->handle);
    return code;
  } catch (const std::exception& error) {
    spdlog::error("llama.cpp failed in a step: {}", error.what());
    return -1;
  }
}

// Of sequences [first, first + count), which the last Decode computed.
void LlamaCppEngine::CollectLogits(const StepPlan& plan, std::size_t first, std::size_t count, StepResult& result) {
  int rows = 0;
  for (std::size_t s = first; s < first + count; ++s) {
    const SequenceWork& work = plan.sequences[s];
    rows += work.rows;
    if (!work.wants_logits) continue;
    const float* logits = llama_get_logits_ith(context_->handle, rows - 1);
    if (logits == nullptr) {
      result.sequences[s].status = Fail(ErrorCode::kInternal, "llama.cpp gave no logits");
      continue;
    }
    result.sequences[s].logits = {logits, static_cast<std::size_t>(capabilities_.vocab_size)};
  }
}

// Copies what sequences from `first` on got, before the next Decode overwrites it.
void LlamaCppEngine::SaveLogits(std::size_t first, StepResult& result) {
  saved_logits_.resize(std::max(saved_logits_.size(), result.sequences.size()));
  for (std::size_t s = first; s < result.sequences.size(); ++s) {
    std::span<const float>& logits = result.sequences[s].logits;
    if (logits.empty()) continue;
    saved_logits_[s].assign(logits.begin(), logits.end());
    logits = saved_logits_[s];
  }
}

// A step failed as a whole: the sequences run alone, so that only those that fail again are lost.
void LlamaCppEngine::ComputeOneByOne(const StepPlan& plan, StepResult& result) {
  result.prompt_seconds = 0;
  saved_logits_.resize(std::max(saved_logits_.size(), plan.sequences.size()));
  for (std::size_t s = 0; s < plan.sequences.size(); ++s) {
    const SequenceWork& work = plan.sequences[s];
    SequenceResult& sequence = result.sequences[s];
    sequence = {};
    Cut(work.slot, work.computed);
    if (const int code = Decode(plan, s, 1); code != 0) {
      sequence.status = Fail(ErrorCode::kInternal, fmt::format("llama.cpp failed to compute this request (code {})", code));
      Cut(work.slot, 0);
      continue;
    }
    if (!work.wants_logits) continue;
    const float* logits = llama_get_logits_ith(context_->handle, work.rows - 1);
    saved_logits_[s].assign(logits, logits + capabilities_.vocab_size);
    sequence.logits = saved_logits_[s];
  }
}

}  // namespace cllm
