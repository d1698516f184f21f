// The embedding of one text from what comes out of the model for its tokens, which may come in pieces.
//
// llama.cpp can pool by itself, but its mean is a product with all rows of a batch, those of other texts weighted by zero: its bits depend
// on what is computed beside, and another text's Inf becomes this one's NaN.
#pragma once

#include <span>
#include <vector>

#include "model/pooling.h"

namespace cllm {

class TextPool {
 public:
  explicit TextPool(Pooling pooling) : pooling_(pooling) {}

  void Clear() {
    sum_.clear();
    rows_ = 0;
  }
  // Whether the embedding is made of the row of the text's token `position`; `is_last`: no other comes behind it.
  bool Counts(int position, bool is_last) const;
  // A row that counts. They come in the order of the text.
  void Add(std::span<const float> row);
  // Of the rows since Clear, of which there is one at least.
  std::vector<float> Embedding() const;

 private:
  Pooling pooling_;
  std::vector<double> sum_;
  int rows_ = 0;
};

}  // namespace cllm
