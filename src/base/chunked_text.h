// A long text that is written at its end and taken from its front.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace cllm {

// Growing never copies what is there, and what was taken is given back at once.
class ChunkedText {
 public:
  ChunkedText() = default;
  explicit ChunkedText(std::string text);

  // Bytes that are left.
  std::size_t size() const { return size_; }
  void Append(std::string_view text);
  // Moves the first bytes to `to`, at most `most`; says how many they were.
  std::size_t Take(char* to, std::size_t most);
  // All that is left, in one piece.
  std::string TakeAll();

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;

  std::deque<std::string> chunks_;  // none of them empty
  std::size_t taken_ = 0;           // of the first one
  std::size_t size_ = 0;
};

}  // namespace cllm
