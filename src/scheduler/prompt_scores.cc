#include "scheduler/prompt_scores.h"

#include <algorithm>
#include <utility>

namespace cllm {

int PromptScores::RowsOf(int computed, int rows) const {
  if (!missing()) return 0;
  // The last token of the prompt scores nothing. What has a score already is computed again where the sequence gave way.
  const int first = std::max({computed, scored_ - 1, 0});
  const int end = computed + rows;
  return first < std::min(end, tokens_ - 1) ? end - first : 0;
}

void PromptScores::Add(std::span<const TokenId> prompt, const SequenceWork& work, std::span<const float> logits, SamplerScratch& scratch) {
  if (!missing() || error_) return;
  if (scored_ == 0) {
    added_.push_back({.token = prompt.front()});  // nothing stands before it
    ++scored_;
  }
  if (work.output != RowOutput::kLogits) return;
  const std::size_t vocab = logits.size() / static_cast<std::size_t>(work.logit_rows);
  const int first = work.computed + work.rows - work.logit_rows;
  for (int row = scored_ - 1 - first; row >= 0 && row < work.logit_rows && scored_ < tokens_; ++row) {
    const TokenId token = prompt[static_cast<std::size_t>(scored_)];
    Result<TokenScore> score = ScoreToken(logits.subspan(vocab * static_cast<std::size_t>(row), vocab), token, alternatives_, scratch);
    if (!score) {
      error_ = score.error();
      return;
    }
    added_.push_back(*std::move(score));
    ++scored_;
  }
}

Result<std::vector<TokenScore>> PromptScores::Take() {
  if (error_) return std::unexpected(*error_);
  return std::exchange(added_, {});
}

}  // namespace cllm
