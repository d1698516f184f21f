// A model's tokenizer and chat template as the service's TextModel.
#pragma once

#include <memory>

#include "model/pair_format.h"
#include "service/service.h"

namespace cllm {

class ModelText : public TextModel {
 public:
  // `model` outlives it. `chat_template` as in ChatTemplate::FromModel. Logs what a template's owner should know.
  static Result<std::unique_ptr<ModelText>> Create(const Model& model, const std::string& chat_template = {});

  Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const override;
  std::string Piece(TokenId token, bool special) const override { return tokenizer_.Piece(token, special); }
  Result<std::string> RenderChat(const ChatPrompt& chat, const StopCheck& stop) const override;
  Result<std::vector<TokenId>> Tokenize(std::string_view text, bool add_special, bool parse_special, const StopCheck& stop) const override {
    return tokenizer_.Tokenize(text, add_special, parse_special, stop);
  }
  Result<std::string> Detokenize(std::span<const TokenId> tokens) const override;
  std::size_t FewestTokens(std::size_t bytes) const override { return tokenizer_.FewestTokens(bytes); }
  Result<std::vector<TokenId>> EncodePair(const TextPair& pair, std::size_t most_tokens, const StopCheck& stop) const override {
    return pairs_.Encode(*pair.query, *pair.document, most_tokens, stop);
  }
  const std::vector<TokenId>& end_of_generation_tokens() const override { return tokenizer_.end_of_generation_tokens(); }

 private:
  Result<EncodedPrompt> EncodeText(std::string_view text, bool add_special, std::size_t most_tokens, const StopCheck& stop) const;
  Result<EncodedPrompt> EncodeChat(const ChatPrompt& chat, std::size_t most_tokens, const StopCheck& stop) const;
  Status CheckTokens(std::span<const TokenId> tokens, const char* field) const;
  Result<EncodedPrompt> EncodeGap(const GapPrompt& prompt, std::size_t most_tokens, const StopCheck& stop) const;
  Result<EncodedPrompt> EncodeParts(const PromptParts& prompt, std::size_t most_tokens, const StopCheck& stop) const;
  ModelText(const Model& model, std::unique_ptr<ChatTemplate> chat_template)
      : tokenizer_(model.tokenizer()), pairs_(model), chat_template_(std::move(chat_template)) {}

  const Tokenizer& tokenizer_;
  PairFormat pairs_;
  std::unique_ptr<ChatTemplate> chat_template_;
};

}  // namespace cllm
