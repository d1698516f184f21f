// Finds stop strings in text that arrives in pieces, and holds back what may still become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cllm {

class StopMatcher {
 public:
  // `stops`: none of them empty. `include`: the text ends behind the stop string, not before it.
  explicit StopMatcher(std::vector<std::string> stops, bool include = false);

  // The text that is decided and, but for `include`, not a part of a stop string. After a match everything further is dropped.
  std::string Push(std::string_view text);
  // The text held back, which can't become a stop string any more.
  std::string Finish();

  bool matched() const { return matched_; }

 private:
  std::size_t HoldBack() const;

  std::vector<std::string> stops_;
  bool include_;
  std::string pending_;
  bool matched_ = false;
};

}  // namespace cllm
