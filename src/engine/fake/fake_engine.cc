#include "engine/fake/fake_engine.h"

#include <numeric>
#include <utility>

#include "base/invariant.h"

namespace cllm {
namespace {

constexpr TokenId kNothing = -1;

// FNV-1a over the token ids.
std::uint64_t Hash(std::span<const TokenId> tokens) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const TokenId token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001B3;
  return hash;
}

}  // namespace

FakeEngine::FakeEngine(FakeEngineOptions options) : options_(std::move(options)) {
  capabilities_ = {.name = "fake",
                   .vocab_size = options_.vocab_size,
                   .max_sequences = options_.max_sequences,
                   .max_step_tokens = options_.max_step_tokens,
                   .max_logit_rows = options_.generates ? options_.max_logit_rows : 0,
                   .max_context = options_.max_context,
                   .generates = options_.generates,
                   .embedding_size = options_.embedding_size,
                   .scores = options_.scores,
                   .embeds_whole = options_.embeds_whole,
                   .prefers_dense_slots = options_.prefers_dense_slots,
                   .can_copy_sequences = true,
                   .can_trim_sequences = options_.can_trim_sequences,
                   .kv_block_tokens = options_.kv_block_tokens,
                   .kv_blocks = options_.kv_blocks};
  slots_.resize(options_.max_sequences);
  block_tables_.resize(options_.max_sequences);
  blocks_.resize(options_.kv_blocks, std::vector<TokenId>(options_.kv_block_tokens, kNothing));
  outputs_.resize(options_.max_sequences);
  embedded_.resize(options_.max_sequences);
}

TokenId FakeEngine::NextToken(std::span<const TokenId> context, int vocab_size) {
  return 1 + static_cast<TokenId>((Hash(context) >> 20) % (vocab_size - 1));
}

std::vector<float> FakeEngine::Embedding(std::span<const TokenId> text, int size) {
  std::vector<float> embedding;
  std::uint64_t state = Hash(text);
  for (int i = 0; i < size; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    embedding.push_back(static_cast<float>(static_cast<int>(state >> 40 & 0xFFFF) - 0x8000) / 0x8000);
  }
  return embedding;
}

int FakeEngine::tokens_held() const {
  return std::accumulate(slots_.begin(), slots_.end(), 0, [](int sum, const auto& slot) { return sum + static_cast<int>(slot.size()); });
}

Ticket FakeEngine::Submit(const StepPlan& plan) {
  CheckInvariant(plan_ == nullptr, "each Submit has its Wait");
  CheckInvariant(static_cast<int>(plan.tokens.size()) <= capabilities_.max_step_tokens, "a step has no more tokens than may be");
  CheckInvariant(plan.logit_rows_beside() <= capabilities_.max_logit_rows, "a step has no more logits than may be");
  plan_ = &plan;
  return ++steps_;
}

void FakeEngine::Wait([[maybe_unused]] Ticket ticket, StepResult& result) {
  CheckInvariant(ticket == static_cast<Ticket>(steps_) && plan_ != nullptr, "a Wait is for the last Submit");
  if (options_.on_step) options_.on_step(*plan_);
  for (const KvOperation& operation : plan_->operations) Apply(operation);
  result.sequences.clear();
  for (const SequenceWork& work : plan_->sequences) result.sequences.push_back(Compute(work));
  plan_ = nullptr;
}

void FakeEngine::Apply(const KvOperation& operation) {
  std::vector<TokenId>& slot = slots_.at(operation.slot);
  const auto tokens = static_cast<std::size_t>(operation.tokens);
  switch (operation.kind) {
    case KvOperation::Kind::kDrop:
      slot.clear();
      block_tables_.at(operation.slot).clear();
      break;
    case KvOperation::Kind::kMove:
      CheckInvariant(slots_.at(operation.target_slot).empty(), "a move goes to an empty slot");
      slots_.at(operation.target_slot) = std::exchange(slot, {});
      break;
    case KvOperation::Kind::kCopy:
      CheckInvariant(slots_.at(operation.target_slot).empty(), "a copy goes to an empty slot");
      CheckInvariant(tokens <= slot.size(), "a copy is of what the slot holds");
      slots_.at(operation.target_slot).assign(slot.begin(), slot.begin() + operation.tokens);
      break;
    case KvOperation::Kind::kTrim:
      CheckInvariant(capabilities_.can_trim_sequences, "only what can be trimmed is");
      CheckInvariant(tokens <= slot.size(), "a trim keeps what the slot holds");
      slot.resize(tokens);
      break;
    case KvOperation::Kind::kCopyBlock:
      blocks_.at(operation.target_block) = blocks_.at(operation.block);
      break;
  }
}

Result<std::vector<TokenId>> FakeEngine::WriteBlocks(const SequenceWork& work) {
  std::vector<BlockId>& table = block_tables_.at(work.slot);
  const auto more = std::span<const BlockId>(plan_->blocks).subspan(work.first_block, work.blocks);
  table.insert(table.end(), more.begin(), more.end());
  const int known = work.computed + work.rows;
  if (static_cast<int>(table.size()) * options_.kv_block_tokens < known) {
    return Fail(ErrorCode::kInternal, "the plan gives the sequence too few blocks");
  }
  std::vector<TokenId> held;
  for (int position = 0; position < known; ++position) {
    std::vector<TokenId>& block = blocks_.at(table[position / options_.kv_block_tokens]);
    TokenId& token = block[position % options_.kv_block_tokens];
    if (position >= work.computed) token = plan_->tokens[work.first_row + position - work.computed];
    if (token == kNothing) return Fail(ErrorCode::kInternal, "a block does not hold what the plan says is computed");
    held.push_back(token);
  }
  return held;
}

SequenceResult FakeEngine::Compute(const SequenceWork& work) {
  std::vector<TokenId>& slot = slots_.at(work.slot);
  const auto rows = std::span<const TokenId>(plan_->tokens).subspan(work.first_row, work.rows);
  if (options_.kv_block_tokens > 0) {
    Result<std::vector<TokenId>> held = WriteBlocks(work);
    if (!held) return {.logits = {}, .status = std::unexpected(held.error())};
    slot = std::move(*held);
  } else if (static_cast<int>(slot.size()) != work.computed) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "the slot does not hold what the plan says is computed")};
  } else {
    slot.insert(slot.end(), rows.begin(), rows.end());
  }
  if (static_cast<int>(slot.size()) > options_.max_context) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "the sequence is longer than the context")};
  }
  for (const TokenId token : rows) {
    if (token == options_.poison_token) return {.logits = {}, .status = Fail(ErrorCode::kInternal, "poisoned token")};
  }
  if (work.output == RowOutput::kEmbedding || work.output == RowOutput::kEmbeddingPart) return Embed(work);
  if (work.output != RowOutput::kLogits) return {};
  return Logits(work);
}

SequenceResult FakeEngine::Logits(const SequenceWork& work) {
  CheckInvariant(options_.generates, "logits are asked of an engine that has some");
  CheckInvariant(work.logit_rows >= 1 && work.logit_rows <= work.rows, "rows that give logits are computed");
  const std::span<const TokenId> held = slots_.at(work.slot);
  const auto vocab = static_cast<std::size_t>(options_.vocab_size);
  std::vector<float>& logits = outputs_.at(work.slot);
  logits.assign(vocab * static_cast<std::size_t>(work.logit_rows), -10.0F);
  for (int row = 0; row < work.logit_rows; ++row) {
    const auto seen = held.first(held.size() - static_cast<std::size_t>(work.logit_rows - 1 - row));
    logits[vocab * static_cast<std::size_t>(row) + static_cast<std::size_t>(NextToken(seen, options_.vocab_size))] = 10.0F;
  }
  return {.logits = logits, .status = {}};
}

SequenceResult FakeEngine::Embed(const SequenceWork& work) {
  CheckInvariant(options_.embedding_size > 0, "an embedding is asked of an engine that gives some");
  const auto rows = std::span<const TokenId>(plan_->tokens).subspan(work.first_row, work.rows);
  std::vector<TokenId>& text = embedded_.at(work.slot);
  if (work.computed == 0) text.clear();
  if (static_cast<int>(text.size()) != work.computed) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "a part of the embedding's text was not computed for it")};
  }
  if (options_.embeds_whole && (work.computed > 0 || work.output != RowOutput::kEmbedding)) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "the text of an embedding came in pieces")};
  }
  text.insert(text.end(), rows.begin(), rows.end());
  if (work.output != RowOutput::kEmbedding) return {};
  std::vector<float>& embedding = outputs_.at(work.slot);
  embedding = Embedding(text, options_.embedding_size);
  return {.logits = {}, .status = {}, .embedding = embedding};
}

}  // namespace cllm
