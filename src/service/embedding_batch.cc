#include "service/embedding_batch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/invariant.h"

namespace cllm {
namespace {

Error ErrorOfText(const EndEvent& end) {
  return end.state == RequestState::kCancelled ? Error{ErrorCode::kCancelled, "the request was cancelled", {}} : end.error;
}

}  // namespace

EmbeddingBatch::EmbeddingBatch(Settings settings) : settings_(std::move(settings)) {
  CheckInvariant(!settings_.texts.empty(), "a request has a text");
  answer_.embeddings.resize(settings_.texts.size());
  for (const Tokens& text : settings_.texts) answer_.prompt_tokens += static_cast<int>(text.size());
}

void EmbeddingBatch::Add(std::size_t text, std::vector<float> embedding) {
  const bool is_sound = std::ranges::all_of(embedding, [](float number) { return std::isfinite(number); });
  const std::lock_guard lock(mutex_);
  if (!is_sound && !error_) error_ = Error{ErrorCode::kInternal, "the model gave numbers that are not finite", {}};
  answer_.embeddings.at(text) = std::move(embedding);
}

void EmbeddingBatch::End(const EndEvent& end) {
  EndOne(end.state == RequestState::kFinished ? std::nullopt : std::optional(ErrorOfText(end)));
  SubmitMore();
}

std::vector<EmbeddingBatch::Turn> EmbeddingBatch::TakeTurns() {
  const std::lock_guard lock(mutex_);
  std::vector<Turn> turns;
  while (!error_ && running_ < settings_.window && next_ < settings_.texts.size()) {
    turns.push_back({next_, std::move(settings_.texts[next_])});
    ++next_;
    ++running_;
  }
  return turns;
}

void EmbeddingBatch::SubmitMore() {
  for (Turn& turn : TakeTurns()) {
    if (const Status status = settings_.submit(shared_from_this(), turn.text, std::move(turn.tokens)); !status) EndOne(status.error());
  }
}

// The first error ends the others; whoever asked hears of it when none of them runs any more.
void EmbeddingBatch::EndOne(std::optional<Error> error) {
  {
    const std::lock_guard lock(mutex_);
    --running_;
    if (error && !error_) error_ = std::move(error);
    if (error_) settings_.control->Send(RequestControl::Signal::kCancel);
    if (running_ > 0 || ended_ || (!error_ && next_ < settings_.texts.size())) return;
    ended_ = true;
  }
  settings_.on_end(error_ ? Result<EmbeddingAnswer>(std::unexpected(*error_)) : std::move(answer_));
}

}  // namespace cllm
