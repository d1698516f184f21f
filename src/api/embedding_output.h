// The body of an answer with embeddings or scores, written piece by piece: a document of them all would be many times as large.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "api/work.h"
#include "base/chunked_text.h"

namespace cllm {

class EmbeddingOutput {
 public:
  // What the share holds already is the request's and that of the answer that is written.
  explicit EmbeddingOutput(const WorkLimits& limits) : limits_(limits), held_(limits.memory.bytes()) {}

  void Add(std::string_view text) { text_.Append(text); }
  // [0.25,-1,…]
  void AddNumbers(const std::vector<float>& numbers);
  // "AACAPgAAgL8…": the numbers as they lie in the memory of a little-endian machine.
  void AddBase64(const std::vector<float>& numbers);
  // After each of many pieces: whether the answer is still wanted and has room.
  Status Check() const;
  ChunkedText Take() { return std::move(text_); }

 private:
  const WorkLimits& limits_;
  std::size_t held_;
  ChunkedText text_;
};

}  // namespace cllm
