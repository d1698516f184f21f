#include "engine/llamacpp/llamacpp_encoder.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/invariant.h"
#include "engine/llamacpp/attention_op.h"
#include "engine/llamacpp/model_context.h"

namespace cllm {

Result<std::unique_ptr<Engine>> LlamaCppEncoder::Create(const Model& model, const LlamaCppOptions& options, Pooling pooling, int texts,
                                                        int max_context) {
  UseOwnAttention();
  llama_context_params params = ContextParams(options, PaddedContext(max_context));
  params.n_ctx = params.n_batch;
  params.n_seq_max = 1;
  params.embeddings = true;
  params.pooling_type = pooling == Pooling::kRank ? LLAMA_POOLING_TYPE_RANK : LLAMA_POOLING_TYPE_NONE;
  auto context = ModelContext::Create(model, options, params, fmt::format("for texts of {} tokens", max_context));
  if (!context) return std::unexpected(context.error());
  const bool scores = pooling == Pooling::kRank;
  const auto size = scores ? static_cast<int>(llama_model_n_cls_out(model.handle())) : llama_model_n_embd_out(model.handle());
  EngineCapabilities capabilities{.name = "llama_cpp",
                                  .vocab_size = model.tokenizer().vocab_size(),
                                  .max_sequences = texts,
                                  .max_step_tokens = std::max(options.n_batch, max_context),
                                  .max_context = max_context,
                                  .generates = false,
                                  .embedding_size = size,
                                  .scores = scores,
                                  .embeds_whole = true};
  return std::unique_ptr<Engine>(new LlamaCppEncoder(std::move(*context), pooling, std::move(capabilities)));
}

LlamaCppEncoder::LlamaCppEncoder(std::unique_ptr<ModelContext> context, Pooling pooling, EngineCapabilities capabilities)
    : context_(std::move(context)), pool_(pooling), capabilities_(std::move(capabilities)) {}

LlamaCppEncoder::~LlamaCppEncoder() = default;

int LlamaCppEncoder::compute_threads() const { return context_->threads->count(); }

Status LlamaCppEncoder::WarmUp() {
  return context_->threads->WarmUp([this](int rows) -> Status {
    const auto embedding = Embed(std::vector<TokenId>(static_cast<std::size_t>(rows), 0));
    if (!embedding) return std::unexpected(embedding.error());
    return {};
  });
}

Ticket LlamaCppEncoder::Submit(const StepPlan& plan) {
  CheckInvariant(plan_ == nullptr, "each Submit has its Wait");
  plan_ = &plan;
  return ++ticket_;
}

// Of the plan's operations none means anything here: no sequence leaves keys and values.
void LlamaCppEncoder::Wait(Ticket ticket, StepResult& result) {
  CheckInvariant(ticket == ticket_ && plan_ != nullptr, "a Wait is for the last Submit");
  const StepPlan& plan = *std::exchange(plan_, nullptr);
  result.sequences.assign(plan.sequences.size(), {});
  result.prompt_seconds = 0;
  if (plan.sequences.empty()) return;
  embeddings_.resize(std::max(embeddings_.size(), plan.sequences.size()));
  context_->threads->Choose();
  for (std::size_t s = 0; s < plan.sequences.size(); ++s) {
    const SequenceWork& work = plan.sequences[s];
    CheckInvariant(work.computed == 0 && work.output == RowOutput::kEmbedding, "a text comes as a whole");
    Result<std::vector<float>> embedding = Embed(std::span(plan.tokens).subspan(work.first_row, work.rows));
    if (!embedding) {
      result.sequences[s].status = std::unexpected(embedding.error());
      continue;
    }
    embeddings_[s] = std::move(*embedding);
    result.sequences[s].embedding = embeddings_[s];
  }
  context_->threads->LearnFrom(plan.expected_s);
}

Result<std::vector<float>> LlamaCppEncoder::Embed(std::span<const TokenId> text) {
  // Some of these models have a cache of keys and values in llama.cpp; most have none.
  if (llama_memory_t memory = llama_get_memory(context_->handle); memory != nullptr) llama_memory_clear(memory, false);
  const auto rows = static_cast<int>(text.size());
  CheckInvariant(rows <= capabilities_.max_context, "a text fits into the context");
  for (int row = 0; row < rows; ++row) context_->AddRow(text[static_cast<std::size_t>(row)], row, 0, true);
  if (const int code = context_->Compute(); code != 0) {
    return Fail(ErrorCode::kInternal, fmt::format("llama.cpp failed to compute this text (code {})", code));
  }
  const auto size = static_cast<std::size_t>(capabilities_.embedding_size);
  const float* output = capabilities_.scores ? llama_get_embeddings_seq(context_->handle, 0) : llama_get_embeddings(context_->handle);
  if (output == nullptr) return Fail(ErrorCode::kInternal, "llama.cpp gave no embedding");
  if (capabilities_.scores) return std::vector<float>(output, output + size);
  pool_.Clear();
  for (int row = 0; row < rows; ++row) {
    if (pool_.Counts(row, row + 1 == rows)) pool_.Add({output + static_cast<std::size_t>(row) * size, size});
  }
  return pool_.Embedding();
}

}  // namespace cllm
