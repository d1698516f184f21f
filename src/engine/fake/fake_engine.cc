#include "engine/fake/fake_engine.h"

#include <cassert>
#include <numeric>
#include <utility>

namespace cllm {

FakeEngine::FakeEngine(FakeEngineOptions options) : options_(std::move(options)) {
  capabilities_ = {.name = "fake",
                   .vocab_size = options_.vocab_size,
                   .max_sequences = options_.max_sequences,
                   .max_step_tokens = options_.max_step_tokens,
                   .max_context = options_.max_context,
                   .prefers_dense_slots = options_.prefers_dense_slots,
                   .can_copy_sequences = true,
                   .can_trim_sequences = options_.can_trim_sequences};
  slots_.resize(options_.max_sequences);
  logits_.resize(options_.max_sequences, std::vector<float>(options_.vocab_size));
}

TokenId FakeEngine::NextToken(std::span<const TokenId> context, int vocab_size) {
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a over the token ids
  for (const TokenId token : context) hash = (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001B3;
  return 1 + static_cast<TokenId>((hash >> 20) % (vocab_size - 1));
}

int FakeEngine::tokens_held() const {
  return std::accumulate(slots_.begin(), slots_.end(), 0,
                         [](int sum, const auto& slot) { return sum + static_cast<int>(slot.size()); });
}

Ticket FakeEngine::Submit(const StepPlan& plan) {
  assert(plan_ == nullptr && "Submit without Wait");
  assert(static_cast<int>(plan.tokens.size()) <= capabilities_.max_step_tokens);
  plan_ = &plan;
  return ++steps_;
}

void FakeEngine::Wait([[maybe_unused]] Ticket ticket, StepResult& result) {
  assert(ticket == static_cast<Ticket>(steps_) && plan_ != nullptr);
  if (options_.on_step) options_.on_step(*plan_);
  for (const KvOperation& operation : plan_->operations) Apply(operation);
  result.sequences.clear();
  for (const SequenceWork& work : plan_->sequences) result.sequences.push_back(Compute(work, plan_->tokens));
  plan_ = nullptr;
}

void FakeEngine::Apply(const KvOperation& operation) {
  std::vector<TokenId>& slot = slots_.at(operation.slot);
  const auto tokens = static_cast<std::size_t>(operation.tokens);
  switch (operation.kind) {
    case KvOperation::Kind::kDrop: slot.clear(); break;
    case KvOperation::Kind::kMove:
      assert(slots_.at(operation.target_slot).empty());
      slots_.at(operation.target_slot) = std::exchange(slot, {});
      break;
    case KvOperation::Kind::kCopy:
      assert(slots_.at(operation.target_slot).empty() && tokens <= slot.size());
      slots_.at(operation.target_slot).assign(slot.begin(), slot.begin() + operation.tokens);
      break;
    case KvOperation::Kind::kTrim:
      assert(capabilities_.can_trim_sequences && tokens <= slot.size());
      slot.resize(tokens);
      break;
  }
}

SequenceResult FakeEngine::Compute(const SequenceWork& work, std::span<const TokenId> tokens) {
  std::vector<TokenId>& slot = slots_.at(work.slot);
  if (static_cast<int>(slot.size()) != work.computed) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "the slot does not hold what the plan says is computed")};
  }
  const auto rows = tokens.subspan(work.first_row, work.rows);
  slot.insert(slot.end(), rows.begin(), rows.end());
  if (static_cast<int>(slot.size()) > options_.max_context) {
    return {.logits = {}, .status = Fail(ErrorCode::kInternal, "the sequence is longer than the context")};
  }
  for (const TokenId token : rows) {
    if (token == options_.poison_token) return {.logits = {}, .status = Fail(ErrorCode::kInternal, "poisoned token")};
  }
  if (!work.wants_logits) return {};
  std::vector<float>& logits = logits_.at(work.slot);
  logits.assign(options_.vocab_size, -10.0F);
  logits[NextToken(slot, options_.vocab_size)] = 10.0F;
  return {.logits = logits, .status = {}};
}

}  // namespace cllm
