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

Result<EncodedPrompt> ModelText::EncodeText(std::string_view text, bool add_special, std::size_t most_tokens) const {
  const std::size_t fewest = tokenizer_.FewestTokens(text.size());
  if (fewest > most_tokens) return EncodedPrompt{.tokens = {}, .fewest_tokens = fewest};
  Result<std::vector<TokenId>> tokens = tokenizer_.Tokenize(text, add_special, true);
  if (!tokens) return std::unexpected(tokens.error());
  return EncodedPrompt{.tokens = std::move(*tokens)};
}

Result<EncodedPrompt> ModelText::EncodeParts(const PromptParts& prompt, std::size_t most_tokens) const {
  EncodedPrompt all;
  for (const auto& part : prompt.parts) {
    const auto* text = std::get_if<std::string>(&part);
    all.fewest_tokens += text ? tokenizer_.FewestTokens(text->size()) : std::get<std::vector<TokenId>>(part).size();
  }
  if (all.fewest_tokens > most_tokens) return all;
  bool add_special = prompt.add_special_tokens;
  for (const auto& part : prompt.parts) {
    const auto* text = std::get_if<std::string>(&part);
    const auto encoded = text ? EncodeText(*text, add_special, most_tokens) : Encode(std::get<std::vector<TokenId>>(part), most_tokens);
    if (!encoded) return encoded;
    all.tokens.insert(all.tokens.end(), encoded->tokens.begin(), encoded->tokens.end());
    add_special = false;
  }
  return all;
}

Result<EncodedPrompt> ModelText::Encode(const Prompt& prompt, std::size_t most_tokens) const {
  if (const auto* parts = std::get_if<PromptParts>(&prompt)) return EncodeParts(*parts, most_tokens);
  if (const auto* text = std::get_if<std::string>(&prompt)) return EncodeText(*text, true, most_tokens);
  if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
    if (const Status status = CheckTokens(*tokens, "prompt"); !status) return std::unexpected(status.error());
    return EncodedPrompt{.tokens = *tokens};
  }
  const Result<std::string> text = RenderChat(std::get<ChatPrompt>(prompt));
  if (!text) return std::unexpected(text.error());
  return EncodeText(*text, true, most_tokens);
}

}  // namespace cllm
