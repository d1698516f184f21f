// The scores of one prompt's tokens, chunk by chunk: the logits of each row score the token that follows.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "sampling/sampler.h"
#include "sampling/token_score.h"

namespace cllm {

class PromptScores {
 public:
  // `alternatives`: of each token; kNoLogprobs: no scores are wanted.
  PromptScores(std::size_t prompt_tokens, int alternatives) : tokens_(static_cast<int>(prompt_tokens)), alternatives_(alternatives) {}

  // Whether a token of the prompt has no score yet.
  bool missing() const { return alternatives_ != kNoLogprobs && scored_ < tokens_; }

  // How many of the last of `rows` rows, those behind `computed` tokens, have to give logits.
  int RowsOf(int computed, int rows) const;

  // Those rows were computed for `work`, and gave `logits`.
  void Add(std::span<const TokenId> prompt, const SequenceWork& work, std::span<const float> logits, SamplerScratch& scratch);

  // What was added since the last Take, in order; an error ends the request.
  Result<std::vector<TokenScore>> Take();

 private:
  int tokens_;
  int alternatives_;
  int scored_ = 0;  // first tokens of the prompt
  std::vector<TokenScore> added_;
  std::optional<Error> error_;
};

}  // namespace cllm
