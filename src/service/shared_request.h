// What all answers to one prompt have in common: it is kept, read and tokenised once, however many they are.
#pragma once

#include <algorithm>
#include <climits>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "grammar/pending_grammar.h"
#include "service/generation.h"
#include "service/stop_matcher.h"

namespace cllm {

struct EncodedPrompt {
  std::vector<TokenId> tokens;
  // Where it was not tokenised: how many tokens it is at least.
  std::size_t fewest_tokens = 0;
  // How its answers are built; nothing: they are content.
  std::shared_ptr<const AnswerFormat> format = nullptr;
  // Tokens by which the format marks its parts, control tokens for one: an answer's reader sees them, and a grammar wants them.
  std::vector<GrammarToken> marks = {};
  std::shared_ptr<const AnswerFrame> frame = nullptr;  // as in RenderedChat

  bool is_tokenised() const { return tokens.size() >= fewest_tokens; }
  // Far from overflow, so that it can be added to.
  int token_count() const { return static_cast<int>(std::min<std::size_t>(std::max(tokens.size(), fewest_tokens), INT_MAX / 2)); }
};

class SharedRequest {
 public:
  // The request's stop strings are bounded; see StopStrings.
  explicit SharedRequest(GenerateRequest request)
      : fields_(std::move(request)), stops_(std::make_shared<const StopStrings>(fields_.stop)) {}

  const GenerateRequest& fields() const { return fields_; }
  const std::shared_ptr<const StopStrings>& stops() const { return stops_; }

  using Grammar = std::shared_ptr<const PendingGrammar>;

  // The prompt as `encode` makes tokens of it, for whoever asks first. Others wait for it and get the same.
  const Result<EncodedPrompt>& Encoded(const std::function<Result<EncodedPrompt>()>& encode) const { return Once(encoded_, encode); }
  // Once it is: how its answers are built.
  const EncodedPrompt& encoded() const {
    const std::lock_guard lock(mutex_);
    return **encoded_;
  }
  // Its grammar, likewise.
  const Grammar& Compiled(const std::function<Grammar()>& compile) const { return Once(grammar_, compile); }

 private:
  template <typename Value>
  const Value& Once(std::optional<Value>& made, const std::function<Value()>& make) const {
    const std::lock_guard lock(mutex_);
    if (!made) made = make();
    return *made;
  }

  GenerateRequest fields_;
  std::shared_ptr<const StopStrings> stops_;
  mutable std::mutex mutex_;
  mutable std::optional<Result<EncodedPrompt>> encoded_;
  mutable std::optional<Grammar> grammar_;
};

}  // namespace cllm
