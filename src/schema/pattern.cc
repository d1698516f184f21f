#include "schema/pattern.h"

#include <re2/re2.h>

#include <utility>

#include "schema/ecma_pattern.h"

namespace cllm {

Result<Pattern> Pattern::Compile(std::string_view expression) {
  const Result<std::string> translated = PatternForRe2(expression);
  if (!translated) return std::unexpected(translated.error());
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto compiled = std::make_shared<const re2::RE2>(*translated, options);
  if (!compiled->ok()) return InvalidArgument("the regular expression cannot be used: " + compiled->error());
  return Pattern(std::move(compiled));
}

bool Pattern::MatchesWhole(std::string_view text) const {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *compiled_);
}

}  // namespace cllm
