// A toy model and a sink that remembers, for tests without a model file.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "service/generation.h"
#include "service/service.h"

namespace cllm {

// One byte is one token: token 'a' is "a". A chat prompt is the contents of its messages. Token 10, the new line, ends an
// answer.
class ToyTextModel : public TextModel {
 public:
  static constexpr TokenId kEndToken = 10;

  // `control_token`: its text is "<control>".
  explicit ToyTextModel(TokenId control_token = -1) : control_token_(control_token) {}

  Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& /*stop*/) const override {
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      const std::size_t fewest = text->size() / 2;  // as if two bytes could be one token
      if (fewest > most_tokens) return EncodedPrompt{.tokens = {}, .fewest_tokens = fewest};
      return EncodedPrompt{.tokens = Tokens(*text)};
    }
    if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
      for (const TokenId token : *tokens) {
        if (token < 0 || token > 255) return InvalidArgument("no such token", "prompt");
      }
      return EncodedPrompt{.tokens = *tokens};
    }
    if (const auto* mixed = std::get_if<PromptParts>(&prompt)) {
      std::vector<TokenId> all;
      if (mixed->add_special_tokens && !mixed->parts.empty() && mixed->parts.front().index() == 0) all.push_back(1);
      for (const auto& part : mixed->parts) {
        const auto* text = std::get_if<std::string>(&part);
        const std::vector<TokenId> tokens = text != nullptr ? Tokens(*text) : std::get<std::vector<TokenId>>(part);
        all.insert(all.end(), tokens.begin(), tokens.end());
      }
      return EncodedPrompt{.tokens = all};
    }
    if (std::holds_alternative<GapPrompt>(prompt)) return InvalidArgument("a toy fills no gaps", "suffix");
    std::string text;
    for (const ChatMessage& message : std::get<ChatPrompt>(prompt).messages) text += message.content;
    return EncodedPrompt{.tokens = Tokens(text)};
  }
  std::string Piece(TokenId token, bool special) const override {
    if (token == control_token_) return special ? "<control>" : "";
    return std::string(1, static_cast<char>(token));
  }
  Result<std::vector<TokenId>> Tokenize(std::string_view text, bool add_special, bool parse_special,
                                        const StopCheck& /*stop*/) const override {
    std::vector<TokenId> tokens = Tokens(text);
    if (parse_special) std::erase(tokens, 'S');
    if (add_special) tokens.insert(tokens.begin(), 1);
    return tokens;
  }
  Result<std::string> RenderChat(const ChatPrompt& chat, const StopCheck& /*stop*/) const override {
    std::string text;
    for (const ChatMessage& message : chat.messages) text += message.role + ":" + message.content + "\n";
    return text;
  }
  Result<std::string> Detokenize(std::span<const TokenId> tokens) const override {
    std::string text;
    for (const TokenId token : tokens) {
      if (token > 255) return InvalidArgument("no such token", "tokens");
      text += static_cast<char>(token);
    }
    return text;
  }
  // The two with a new line between them.
  Result<std::vector<TokenId>> EncodePair(const TextPair& pair, std::size_t /*most_tokens*/, const StopCheck& /*stop*/) const override {
    return Tokens(*pair.query + "\n" + *pair.document);
  }
  const std::vector<TokenId>& end_of_generation_tokens() const override { return end_tokens_; }

 private:
  static std::vector<TokenId> Tokens(std::string_view text) {
    std::vector<TokenId> tokens;
    for (const unsigned char byte : text) tokens.push_back(byte);
    return tokens;
  }
  TokenId control_token_;
  std::vector<TokenId> end_tokens_{kEndToken};
};

// How each of several answers ended.
inline std::vector<FinishReason> ReasonsOf(const GenerationEnd& end) {
  std::vector<FinishReason> reasons;
  for (const GenerationEnd& each : end.each) reasons.push_back(each.reason);
  return reasons;
}

// Remembers an answer; WaitForEnd is how a test waits for it.
class RememberingSink : public GenerationSink {
 public:
  void OnStart(const AnswerStart& start) override {
    const std::lock_guard lock(mutex_);
    start_ = start;
  }
  void OnText(TextDelta delta) override {
    const std::lock_guard lock(mutex_);
    if (!ends_.empty()) text_after_end_ = true;
    text_ += delta.text;
    for (const TokenText& token : delta.tokens) tokens_.push_back(token);
    deltas_.push_back(std::move(delta));
    changed_.notify_all();
  }
  void OnEnd(const GenerationEnd& end) override {
    const std::lock_guard lock(mutex_);
    ends_.push_back(end);
    changed_.notify_all();
  }

  // The first end. A test whose answer never ends fails by its runner's time limit.
  GenerationEnd WaitForEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ends_.empty(); });
    return ends_.front();
  }
  void WaitForText() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !text_.empty(); });
  }
  AnswerStart start() const { return Locked(start_); }
  std::string text() const { return Locked(text_); }
  std::vector<TextDelta> deltas() const { return Locked(deltas_); }
  // The tokens of all deltas.
  std::vector<TokenText> tokens() const { return Locked(tokens_); }
  int ends() const { return static_cast<int>(Locked(ends_).size()); }
  bool text_after_end() const { return Locked(text_after_end_); }

 private:
  template <typename T>
  T Locked(const T& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AnswerStart start_;
  std::string text_;
  std::vector<TextDelta> deltas_;
  std::vector<TokenText> tokens_;
  std::vector<GenerationEnd> ends_;
  bool text_after_end_ = false;
};

}  // namespace cllm
