// Finds stop strings in text that arrives in pieces, and holds back what may still become one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cllm {

// The stop strings of a request as one automaton that reads a text once, however the strings resemble it and each other: a trie
// whose nodes know the longest proper end of what they stand for that begins a string too (Aho and Corasick, "Efficient string
// matching", 1975). Immutable, so that all choices of a request share one.
class StopStrings {
 public:
  // 64 KiB of strings at most; none of them empty.
  explicit StopStrings(const std::vector<std::string>& strings = {});

  using State = std::uint16_t;
  bool empty() const { return nodes_.size() == 1; }
  // The state after one more byte; the first one is 0.
  State Next(State state, char byte) const;
  // Bytes at the end of what was read that begin a string.
  std::size_t depth(State state) const { return nodes_[state].depth; }
  // Length of the longest string that has just been read; 0: none.
  std::size_t matched(State state) const { return nodes_[state].matched; }

 private:
  static constexpr State kNone = 0;  // nothing leads back to the root
  struct Node {
    State first_child = kNone;
    State next_sibling = kNone;
    State fallback = 0;  // the node of the longest proper end
    std::uint16_t depth = 0;
    std::uint16_t matched = 0;
    char byte = 0;
  };

  State Child(State state, char byte) const;
  State AddChild(State state, char byte);
  void SetFallbacks();

  std::vector<Node> nodes_;
};

class StopMatcher {
 public:
  // Without `stops` nothing is looked for. `include`: the text ends behind the stop string, not before it.
  explicit StopMatcher(std::shared_ptr<const StopStrings> stops, bool include = false) : stops_(std::move(stops)), include_(include) {}

  // The text that is decided and, but for `include`, not a part of a stop string: the one that is complete first; of those that end
  // together the longest. After a match everything further is dropped.
  std::string Push(std::string_view text);
  // The text held back, which can't become a stop string any more.
  std::string Finish();

  bool matched() const { return matched_; }
  // The string that was found.
  const std::string& found() const { return found_; }

 private:
  std::shared_ptr<const StopStrings> stops_;
  bool include_;
  StopStrings::State state_ = 0;
  std::string pending_;
  bool matched_ = false;
  std::string found_;
};

}  // namespace cllm
