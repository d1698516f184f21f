#include "sampling/token_score.h"

#include <utility>

#include "base/invariant.h"
#include "sampling/logprobs.h"

namespace cllm {

Result<TokenScore> ScoreToken(std::span<const float> logits, std::int32_t token, int alternatives, SamplerScratch& scratch) {
  CheckInvariant(token >= 0 && static_cast<std::size_t>(token) < logits.size(), "a token that is scored is one of the vocabulary");
  const Result<LogitRow> row = LogitRow::Scan(logits, scratch.block_max);
  if (!row) return std::unexpected(row.error());
  if (row->Max() == -kInfinity) return Fail(ErrorCode::kInternal, "the engine returned a row of logits that excludes all tokens");
  const float logit = logits[static_cast<std::size_t>(token)];
  const double log_normalizer = LogNormalizer(*row);
  TokenScore score{.token = token, .logprob = Logprob(logit, log_normalizer)};
  score.rank = static_cast<std::int32_t>(row->RankedBefore({.token = token, .logit = logit})) + 1;
  score.top = TopLogprobs(*row, static_cast<std::size_t>(alternatives), log_normalizer, scratch.ranking);
  return score;
}

}  // namespace cllm
