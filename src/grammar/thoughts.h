// What a model thinks before it answers: where that ends, and an end to it after so many tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/token_constraint.h"

namespace cllm {

// The bytes of a token, those of a control token too. Any thread may ask.
using TokenBytes = std::function<std::string(std::int32_t token)>;

struct ThoughtMarks {
  std::string start = {};              // empty: an answer begins with its thoughts
  std::vector<std::string> ends = {};  // empty: there are no thoughts
  bool is_open = false;                // the prompt ends within thoughts
};

// Follows one answer. Thoughts stand at its beginning, behind spaces at most.
class ThoughtTracker {
 public:
  explicit ThoughtTracker(ThoughtMarks marks);

  // The next bytes of the answer; gives what of all so far has turned out to be behind the thoughts, beginning with what ends them.
  std::string Add(std::string_view bytes);
  bool thinks() const { return state_ == State::kThinks; }

 private:
  enum class State : std::uint8_t { kUndecided, kThinks, kDone };
  std::string Begin();
  std::string LookForEnd();

  ThoughtMarks marks_;
  std::size_t longest_end_ = 0;
  State state_;
  std::string held_;  // that may be a part of a mark
};

// Closes the thoughts of one answer where they have as many tokens as they may have: the tokens of what ends them have to come then.
class ThoughtBudget : public TokenConstraint {
 public:
  struct Settings {
    ThoughtMarks marks = {};
    int most_tokens = 0;
    std::vector<std::int32_t> closing = {};  // the tokens of an end
    TokenBytes bytes = {};
  };
  // `inner`: what else constrains the answer; nullptr: nothing.
  ThoughtBudget(Settings settings, std::shared_ptr<TokenConstraint> inner);

  Result<std::optional<TokenMask>> Next(std::chrono::microseconds patience) override;
  void Accept(std::int32_t token) override;

 private:
  bool IsDue(const TokenMask& mask) const;

  const Settings settings_;
  const std::shared_ptr<TokenConstraint> inner_;
  ThoughtTracker tracker_;
  int thought_tokens_ = 0;
  std::size_t closed_ = 0;   // tokens of the closing that came last
  bool is_closing_ = false;  // the next one is its
  bool is_closed_ = false;   // once is enough
  std::string tail_;         // bytes that came last
};

}  // namespace cllm
