#include "engine/llamacpp/text_pool.h"

#include <algorithm>

#include "base/invariant.h"

namespace cllm {

bool TextPool::Counts(int position, bool is_last) const {
  switch (pooling_) {
    case Pooling::kMean:
      return true;
    case Pooling::kCls:
      return position == 0;
    case Pooling::kLast:
    case Pooling::kRank:
      return is_last;
    case Pooling::kNone:
      break;
  }
  return false;
}

void TextPool::Add(std::span<const float> row) {
  sum_.resize(row.size(), 0.0);
  for (std::size_t i = 0; i < row.size(); ++i) sum_[i] += row[i];
  ++rows_;
}

std::vector<float> TextPool::Embedding() const {
  CheckInvariant(rows_ > 0, "an embedding is made of a row at least");
  std::vector<float> embedding(sum_.size());
  std::ranges::transform(sum_, embedding.begin(), [this](double sum) { return static_cast<float>(sum / rows_); });
  return embedding;
}

}  // namespace cllm
