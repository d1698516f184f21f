#include "service/model_text.h"

#include <fmt/format.h>

namespace cllm {

Result<std::unique_ptr<ModelText>> ModelText::Create(const Model& model) {
  auto chat_template = ChatTemplate::FromModel(model);
  if (!chat_template) return std::unexpected(chat_template.error());
  return std::unique_ptr<ModelText>(new ModelText(model, std::move(*chat_template)));
}

Status ModelText::CheckTokens(std::span<const TokenId> tokens, const char* field) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < tokenizer_.vocab_size()) continue;
    return InvalidArgument(
        fmt::format("{}[{}] is {}, which is not in the vocabulary of {} tokens", field, i, tokens[i], tokenizer_.vocab_size()), field);
  }
  return {};
}

Result<std::string> ModelText::Detokenize(std::span<const TokenId> tokens) const {
  if (const Status status = CheckTokens(tokens, "tokens"); !status) return std::unexpected(status.error());
  return tokenizer_.Detokenize(tokens);
}

Result<std::vector<TokenId>> ModelText::EncodeParts(const PromptParts& prompt) const {
  std::vector<TokenId> all;
  bool add_special = prompt.add_special_tokens;
  for (const auto& part : prompt.parts) {
    Result<std::vector<TokenId>> tokens;
    if (const auto* text = std::get_if<std::string>(&part)) {
      tokens = tokenizer_.Tokenize(*text, add_special, true);
    } else {
      tokens = Encode(std::get<std::vector<TokenId>>(part));
    }
    if (!tokens) return tokens;
    all.insert(all.end(), tokens->begin(), tokens->end());
    add_special = false;
  }
  return all;
}

Result<std::vector<TokenId>> ModelText::Encode(const Prompt& prompt) const {
  if (const auto* parts = std::get_if<PromptParts>(&prompt)) return EncodeParts(*parts);
  if (const auto* text = std::get_if<std::string>(&prompt)) return tokenizer_.Tokenize(*text, true, true);
  if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
    if (const Status status = CheckTokens(*tokens, "prompt"); !status) return std::unexpected(status.error());
    return *tokens;
  }
  const Result<std::string> text = RenderChat(std::get<ChatPrompt>(prompt));
  if (!text) return std::unexpected(text.error());
  return tokenizer_.Tokenize(*text, true, true);
}

}  // namespace cllm
