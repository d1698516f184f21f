#include "engine/llamacpp/llamacpp_engine.h"

#include <llama.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/invariant.h"
#include "engine/llamacpp/attention_op.h"
#include "engine/llamacpp/kv_type.h"
#include "engine/llamacpp/matmul_op.h"
#include "engine/llamacpp/model_context.h"

namespace cllm {
namespace {

// From this many rows of a sequence on, ggml's attention works in tiles, whose sums differ in their last bits. Ours has one order.
constexpr int kRowsOfAnAttentionTile = 64;
// From this many on, ggml multiplies with K-quants in tiles (ggml_tiled_min_batch); with 16-bit weights from two on.
constexpr int kRowsOfAMatrixTile = 8;

// Where embeddings are wanted llama.cpp computes the logits of every row, too: so many rows at a time keep them few.
constexpr int kRowsOfAnEmbedding = 64;
// More rows than this in a call of llama.cpp are computed in several.
constexpr int kMostRowsAtATime = 512;

// What logits beside those of each sequence's last row may take. llama.cpp's buffer of outputs grows to that when they are asked for.
constexpr std::int64_t kMostLogitBytes = 32 << 20;

// Sequence ids beyond this do not exist in llama.cpp (LLAMA_MAX_SEQ).
constexpr int kMostSequences = 256;

// Whether our kernel computes all attention of `model`: a name stands for an architecture without soft caps, sinks and biases by
// position. Of one that isn't named a part may be ours.
bool AttentionIsOurs(const Model& model, const LlamaCppOptions& options) {
  constexpr std::array kPlain = {"llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma3", "phi3", "smollm3"};
  const ModelFacts& facts = model.facts();
  return !Model::HasGpuSupport() && options.kv_type == "f16" && options.flash_attention != "off" &&
         std::ranges::find(kPlain, facts.architecture) != kPlain.end() &&
         AttentionHeadsAreOurs(facts.key_size, facts.value_size, facts.heads, facts.kv_heads);
}

int MostLogitRows(std::int64_t vocab_size, int step_tokens) {
  const std::int64_t row_bytes = std::max<std::int64_t>(1, vocab_size) * static_cast<std::int64_t>(sizeof(float));
  return static_cast<int>(std::clamp<std::int64_t>(kMostLogitBytes / row_bytes, 1, step_tokens));
}

bool IsOfText(const SequenceWork& work) { return work.output == RowOutput::kEmbedding || work.output == RowOutput::kEmbeddingPart; }

}  // namespace

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
  const std::int64_t rows = std::min(std::max(options.n_batch, sequences), kMostRowsAtATime);
  // llama.cpp reserves logits for each row of a pass, and the engine has those of each sequence's last row and of prompts that are scored.
  const std::int64_t outputs = sequences + MostLogitRows(model.vocab_size, std::max(options.n_batch, sequences));
  const std::int64_t logits = (rows + outputs) * model.vocab_size * std::int64_t{sizeof(float)};
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

Result<std::unique_ptr<Engine>> LlamaCppEngine::Create(const Model& model, const LlamaCppOptions& options, Pooling pooling, int sequences,
                                                       int max_context) {
  UseOwnAttention();
  const bool attention_is_ours = AttentionIsOurs(model, options);
  // Then a row's bytes don't depend on what is computed beside it, and decodes and prompts may share a pass.
  const bool all_is_ours = attention_is_ours && AllWeightsAreOurs(model.handle());
  const int step_tokens = std::max(options.n_batch, sequences);
  llama_context_params params = ContextParams(options, step_tokens);
  params.n_ctx = static_cast<std::uint32_t>(PaddedContext(max_context)) * sequences;
  params.n_ubatch = std::min(step_tokens, kMostRowsAtATime);
  params.n_seq_max = sequences;
  auto origins = std::make_unique<StreamOrigins>(sequences);
  params.kv_ragged = all_is_ours;
  params.kv_ragged_data = origins.get();
  if (all_is_ours) params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.pooling_type = pooling == Pooling::kRank ? LLAMA_POOLING_TYPE_RANK : LLAMA_POOLING_TYPE_NONE;
  auto context = ModelContext::Create(model, options, params, fmt::format("for {} sequences of {} tokens", sequences, max_context));
  if (!context) return std::unexpected(context.error());
  const bool is_one_pass = llama_kv_is_ragged((*context)->handle);
  const int rows_after_prefix = all_is_ours ? 1 : attention_is_ours ? kRowsOfAMatrixTile : kRowsOfAnAttentionTile;
  const bool scores = pooling == Pooling::kRank;
  const auto output_size = scores ? static_cast<int>(llama_model_n_cls_out(model.handle())) : llama_model_n_embd_out(model.handle());
  EngineCapabilities capabilities{.name = "llama_cpp",
                                  .vocab_size = model.tokenizer().vocab_size(),
                                  .max_sequences = sequences,
                                  .max_step_tokens = step_tokens,
                                  .max_logit_rows = MostLogitRows(model.tokenizer().vocab_size(), step_tokens),
                                  .max_context = max_context,
                                  .embedding_size = pooling == Pooling::kNone ? 0 : output_size,
                                  .scores = scores,
                                  .prefers_dense_slots = !is_one_pass,
                                  .computes_prompts_apart = !is_one_pass,
                                  .can_copy_sequences = true,
                                  .copies_whole_slots = Model::HasGpuSupport() || options.flash_attention == "off",
                                  // Recurrent state has no positions. (Sliding windows are kept at full size, so theirs can go.)
                                  .can_trim_sequences = !llama_model_is_recurrent(model.handle()) && !llama_model_is_hybrid(model.handle()),
                                  .rows_after_prefix = rows_after_prefix};
  return std::unique_ptr<Engine>(new LlamaCppEngine(std::move(*context), std::move(origins), pooling, std::move(capabilities)));
}

LlamaCppEngine::LlamaCppEngine(std::unique_ptr<ModelContext> context, std::unique_ptr<StreamOrigins> origins, Pooling pooling,
                               EngineCapabilities capabilities)
    : origins_(std::move(origins)),
      context_(std::move(context)),
      pools_(static_cast<std::size_t>(capabilities.max_sequences), TextPool(pooling)),
      capabilities_(std::move(capabilities)) {}

LlamaCppEngine::~LlamaCppEngine() = default;

int LlamaCppEngine::compute_threads() const { return context_->threads->count(); }

Status LlamaCppEngine::WarmUp() {
  return context_->threads->WarmUp([this](int rows) { return TrialStep(rows); });
}

Status LlamaCppEngine::TrialStep(int rows) {
  StepPlan plan;
  plan.sequences.push_back({.rows = rows, .output = RowOutput::kLogits});
  plan.tokens.assign(rows, 0);
  StepResult result;
  Wait(Submit(plan), result);
  Apply({.kind = KvOperation::Kind::kDrop, .slot = 0});
  return result.sequences.at(0).status;
}

Ticket LlamaCppEngine::Submit(const StepPlan& plan) {
  CheckInvariant(plan_ == nullptr, "each Submit has its Wait");
  CheckInvariant(static_cast<int>(plan.tokens.size()) <= capabilities_.max_step_tokens, "a step has no more tokens than may be");
  CheckInvariant(plan.logit_rows_beside() <= capabilities_.max_logit_rows, "a step has no more logits than may be");
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
  context_->threads->Choose();
  saved_outputs_.resize(std::max(saved_outputs_.size(), plan.sequences.size()));
  for (std::vector<float>& saved : saved_outputs_) {
    if (saved.size() > static_cast<std::size_t>(capabilities_.vocab_size)) saved = {};  // of a scored prompt in a step that failed
  }
  answers_.clear();
  texts_.clear();
  for (std::size_t s = 0; s < plan.sequences.size(); ++s) (IsOfText(plan.sequences[s]) ? texts_ : answers_).push_back(s);
  const auto start = std::chrono::steady_clock::now();
  Embed(plan, texts_, result);
  const double text_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!answers_.empty() && !ComputeTogether(plan, answers_, result)) ComputeOneByOne(plan, answers_, result);
  // Texts are prompts in the eyes of whoever predicts times.
  const bool has_decodes = !answers_.empty() && plan.sequences[answers_.front()].rows == 1;
  if (capabilities_.computes_prompts_apart && has_decodes && !texts_.empty()) result.prompt_seconds += text_s;
  context_->threads->LearnFrom(plan.expected_s);
}

// Where the cache isn't ragged, decodes and prompts go in two calls. In one llama.cpp would compute equally many rows of each sequence
// at a time, so it would pass over the weights twice all the same, and every decode would attend over as many positions as the longest
// prompt has. Of the logits of the first call, which the second one overwrites, a copy is made: it is the prompts' unless one is scored.
bool LlamaCppEngine::ComputeTogether(const StepPlan& plan, Sequences sequences, StepResult& result) {
  const auto first_prompt = std::ranges::find_if(sequences, [&plan](std::size_t s) { return plan.sequences[s].rows > 1; });
  const auto decodes = static_cast<std::size_t>(first_prompt - sequences.begin());
  const bool is_apart = capabilities_.computes_prompts_apart && decodes > 0 && decodes < sequences.size();
  if (!is_apart) return ComputePass(plan, sequences, result);
  const bool prompts_go_last = plan.logit_rows_beside() > 0;
  const auto compute_prompts = [&] {
    const auto start = std::chrono::steady_clock::now();
    const bool is_done = ComputePass(plan, sequences.subspan(decodes), result);
    result.prompt_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return is_done;
  };
  if (!prompts_go_last && !compute_prompts()) return false;
  if (!prompts_go_last) SaveLogits(sequences.subspan(decodes), result);
  if (!ComputePass(plan, sequences.first(decodes), result)) return false;
  if (!prompts_go_last) return true;
  SaveLogits(sequences.first(decodes), result);
  return compute_prompts();
}

bool LlamaCppEngine::ComputePass(const StepPlan& plan, Sequences sequences, StepResult& result) {
  if (Decode(plan, sequences) != 0) return false;
  CollectLogits(plan, sequences, result);
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

// 0 is success, anything else llama.cpp's code.
int LlamaCppEngine::Decode(const StepPlan& plan, Sequences sequences) {
  for (const std::size_t s : sequences) {
    const SequenceWork& work = plan.sequences[s];
    for (int row = 0; row < work.rows; ++row) {
      const bool gives_logits = work.output == RowOutput::kLogits && row >= work.rows - work.logit_rows;
      context_->AddRow(plan.tokens[work.first_row + row], work.computed + row, work.slot, gives_logits);
    }
  }
  return context_->Compute();
}

// Of sequences that the last Decode computed.
void LlamaCppEngine::CollectLogits(const StepPlan& plan, Sequences sequences, StepResult& result) {
  int rows = 0;
  for (const std::size_t s : sequences) {
    const SequenceWork& work = plan.sequences[s];
    rows += work.rows;
    if (work.output != RowOutput::kLogits) continue;
    result.sequences[s].logits = LogitsBefore(rows, work.logit_rows);
    if (result.sequences[s].logits.empty()) result.sequences[s].status = Fail(ErrorCode::kInternal, "llama.cpp gave no logits");
  }
}

// Those of the last `count` rows before `end` of what was computed last; nothing where they don't lie one after the other.
std::span<const float> LlamaCppEngine::LogitsBefore(int end, int count) {
  const auto vocab = static_cast<std::size_t>(capabilities_.vocab_size);
  const float* first = llama_get_logits_ith(context_->handle, end - count);
  const float* last = llama_get_logits_ith(context_->handle, end - 1);
  const auto before_last = vocab * static_cast<std::size_t>(count - 1);
  if (first == nullptr || last == nullptr || last != first + before_last) return {};
  return {first, before_last + vocab};
}

// Copies what the sequences got, before the next Decode overwrites it.
void LlamaCppEngine::SaveLogits(Sequences sequences, StepResult& result) {
  for (const std::size_t s : sequences) {
    std::span<const float>& logits = result.sequences[s].logits;
    if (logits.empty()) continue;
    saved_outputs_[s].assign(logits.begin(), logits.end());
    logits = saved_outputs_[s];
  }
}

// A step failed as a whole: the sequences run alone, so that only those that fail again are lost.
void LlamaCppEngine::ComputeOneByOne(const StepPlan& plan, Sequences sequences, StepResult& result) {
  result.prompt_seconds = 0;
  for (const std::size_t s : sequences) {
    const SequenceWork& work = plan.sequences[s];
    SequenceResult& sequence = result.sequences[s];
    sequence = {};
    Cut(work.slot, work.computed);
    if (const int code = Decode(plan, {&s, 1}); code != 0) {
      sequence.status = Fail(ErrorCode::kInternal, fmt::format("llama.cpp failed to compute this request (code {})", code));
      Cut(work.slot, 0);
      continue;
    }
    if (work.output != RowOutput::kLogits) continue;
    const std::span<const float> logits = LogitsBefore(work.rows, work.logit_rows);
    saved_outputs_[s].assign(logits.begin(), logits.end());
    sequence.logits = saved_outputs_[s];
    if (logits.empty()) sequence.status = Fail(ErrorCode::kInternal, "llama.cpp gave no logits");
  }
}

void LlamaCppEngine::Embed(const StepPlan& plan, Sequences sequences, StepResult& result) {
  for (const std::size_t s : sequences) {
    const SequenceWork& work = plan.sequences[s];
    TextPool& pool = pools_.at(static_cast<std::size_t>(work.slot));
    if (work.computed == 0) pool.Clear();
    if (const int code = ComputeText(plan, work, pool); code != 0) {
      result.sequences[s].status = Fail(ErrorCode::kInternal, fmt::format("llama.cpp failed to compute this text (code {})", code));
      Cut(work.slot, 0);
      continue;
    }
    if (work.output != RowOutput::kEmbedding) continue;
    saved_outputs_[s] = pool.Embedding();
    result.sequences[s].embedding = saved_outputs_[s];
  }
}

// In calls whose rows all count for the embedding, or none: with the first ones llama.cpp computes outputs for every row.
int LlamaCppEngine::ComputeText(const StepPlan& plan, const SequenceWork& work, TextPool& pool) {
  const auto counts = [&](int row) {
    return pool.Counts(work.computed + row, work.output == RowOutput::kEmbedding && row == work.rows - 1);
  };
  for (int first = 0; first < work.rows;) {
    const bool gives_output = counts(first);
    const int most = std::min(work.rows, first + (gives_output ? kRowsOfAnEmbedding : kMostRowsAtATime));
    int end = first;
    for (; end < most && counts(end) == gives_output; ++end) {
      context_->AddRow(plan.tokens[work.first_row + end], work.computed + end, work.slot, gives_output);
    }
    llama_set_embeddings(context_->handle, gives_output);
    int code = context_->Compute();
    if (code == 0 && gives_output && !AddToPool(work, end - first, pool)) code = -1;
    llama_set_embeddings(context_->handle, false);
    if (code != 0) return code;
    first = end;
  }
  return 0;
}

bool LlamaCppEngine::AddToPool(const SequenceWork& work, int rows, TextPool& pool) {
  const auto size = static_cast<std::size_t>(capabilities_.embedding_size);
  const float* output =
      capabilities_.scores ? llama_get_embeddings_seq(context_->handle, work.slot) : llama_get_embeddings(context_->handle);
  if (output == nullptr) return false;
  const int count = capabilities_.scores ? 1 : rows;
  for (int row = 0; row < count; ++row) pool.Add({output + static_cast<std::size_t>(row) * size, size});
  return true;
}

}  // namespace cllm
