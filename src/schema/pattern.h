// A regular expression that a whole text has to match.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace cllm {

// Immutable: several threads may use one. Matches in time by the lengths of text and expression.
class Pattern {
 public:
  // What RE2 can't express, or reads in another way than ECMA-262, is an error; see PatternForRe2.
  static Result<Pattern> Compile(std::string_view expression);
  bool MatchesWhole(std::string_view text) const;

 private:
  explicit Pattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}

  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace cllm
