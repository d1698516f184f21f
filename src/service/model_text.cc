#include "service/model_text.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "model/infill.h"

namespace cllm {

Result<std::unique_ptr<ModelText>> ModelText::Create(const Model& model, const std::string& chat_template_override) {
  auto chat_template = ChatTemplate::FromModel(model, chat_template_override);
  if (!chat_template) return std::unexpected(chat_template.error());
  if (model.facts().generates) {
    for (const std::string& warning : (*chat_template)->warnings()) spdlog::warn("{}", warning);
  }
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

Result<EncodedPrompt> ModelText::EncodeText(std::string_view text, bool add_special, std::size_t most_tokens, const StopCheck& stop) const {
  const std::size_t fewest = tokenizer_.FewestTokens(text.size());
  if (fewest > most_tokens) return EncodedPrompt{.tokens = {}, .fewest_tokens = fewest};
  Result<std::vector<TokenId>> tokens = tokenizer_.Tokenize(text, add_special, true, stop);
  if (!tokens) return std::unexpected(tokens.error());
  return EncodedPrompt{.tokens = std::move(*tokens)};
}

Result<EncodedPrompt> ModelText::EncodeParts(const PromptParts& prompt, std::size_t most_tokens, const StopCheck& stop) const {
  EncodedPrompt all;
  for (const auto& part : prompt.parts) {
    const auto* text = std::get_if<std::string>(&part);
    all.fewest_tokens += text ? tokenizer_.FewestTokens(text->size()) : std::get<std::vector<TokenId>>(part).size();
  }
  if (all.fewest_tokens > most_tokens) return all;
  bool add_special = prompt.add_special_tokens;
  for (const auto& part : prompt.parts) {
    const auto* text = std::get_if<std::string>(&part);
    const auto encoded =
        text ? EncodeText(*text, add_special, most_tokens, stop) : Encode(std::get<std::vector<TokenId>>(part), most_tokens, stop);
    if (!encoded) return encoded;
    all.tokens.insert(all.tokens.end(), encoded->tokens.begin(), encoded->tokens.end());
    add_special = false;
  }
  return all;
}

Result<EncodedPrompt> ModelText::EncodeGap(const GapPrompt& prompt, std::size_t most_tokens, const StopCheck& stop) const {
  std::size_t bytes = prompt.prefix.size() + prompt.suffix.size() + prompt.middle.size();
  for (const GapFile& file : prompt.files) bytes += file.text.size();
  const std::size_t fewest = tokenizer_.FewestTokens(bytes);
  if (fewest > most_tokens) return EncodedPrompt{.tokens = {}, .fewest_tokens = fewest};
  auto tokens = TokenizeGap(tokenizer_, prompt, stop);
  if (!tokens) return std::unexpected(tokens.error());
  return EncodedPrompt{.tokens = std::move(*tokens)};
}

Result<std::string> ModelText::RenderChat(const ChatPrompt& chat, const StopCheck& stop) const {
  Result<MarkedText> rendered = chat_template_->Render(chat, stop);
  if (!rendered) return std::unexpected(rendered.error());
  return std::move(rendered->text);
}

Result<EncodedPrompt> ModelText::EncodeChat(const ChatPrompt& chat, std::size_t most_tokens, const StopCheck& stop) const {
  Result<RenderedChat> rendered = chat_template_->Prepare(chat, stop);
  if (!rendered) return std::unexpected(rendered.error());
  const std::size_t fewest = tokenizer_.FewestTokens(rendered->prompt.text.size());
  if (fewest > most_tokens) return EncodedPrompt{.tokens = {}, .fewest_tokens = fewest};
  Result<std::vector<TokenId>> tokens = tokenizer_.Tokenize(rendered->prompt, true, stop);
  if (!tokens) return std::unexpected(tokens.error());
  EncodedPrompt encoded{.tokens = std::move(*tokens)};
  encoded.format = std::move(rendered->format);
  encoded.frame = std::move(rendered->frame);
  for (const std::string& text : encoded.format->preserved_tokens()) {
    const auto token = tokenizer_.SpecialToken(text);
    if (token && !tokenizer_.IsEndOfGeneration(*token)) encoded.marks.push_back({.text = text, .token = *token});
  }
  return encoded;
}

Result<EncodedPrompt> ModelText::Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const {
  if (const auto* gap = std::get_if<GapPrompt>(&prompt)) return EncodeGap(*gap, most_tokens, stop);
  if (const auto* parts = std::get_if<PromptParts>(&prompt)) return EncodeParts(*parts, most_tokens, stop);
  if (const auto* text = std::get_if<std::string>(&prompt)) return EncodeText(*text, true, most_tokens, stop);
  if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
    if (const Status status = CheckTokens(*tokens, "prompt"); !status) return std::unexpected(status.error());
    return EncodedPrompt{.tokens = *tokens};
  }
  return EncodeChat(std::get<ChatPrompt>(prompt), most_tokens, stop);
}

}  // namespace cllm
