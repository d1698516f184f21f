// How often each token occurred among the last n of a sequence: what the penalties ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cllm {

struct TokenCount {
  std::int32_t token = 0;
  std::int32_t count = 0;

  bool operator==(const TokenCount&) const = default;
};

class TokenWindow {
 public:
  // Looks back on `length` tokens (0: nothing is counted), or on all for kWholeContext.
  explicit TokenWindow(std::int32_t length);

  // The next token of the sequence; token >= 0.
  void Push(std::int32_t token);

  // The same for a run of tokens. Into an empty window (a prompt) it takes O(n log n), however many differ.
  void Push(std::span<const std::int32_t> tokens);

  // Tokens that occur in the window, ascending, each with a count >= 1. Valid until the next Push.
  std::span<const TokenCount> counts() const { return counts_; }

 private:
  bool bounded() const { return length_ >= 0; }
  void Count(std::int32_t token);
  void Uncount(std::int32_t token);

  std::int32_t length_;
  // Sorted, not hashed: the sampler merges it with other sorted lists, and a window of 64 is one short memmove.
  std::vector<TokenCount> counts_;
  // A ring of the window's tokens once it is full; `oldest_` is the one to leave next. Unused without a bound.
  std::vector<std::int32_t> ring_;
  std::size_t oldest_ = 0;
};

}  // namespace cllm
