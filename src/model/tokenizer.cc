#include "model/tokenizer.h"

#include <llama.h>

#include <limits>

namespace cllm {

Tokenizer::Tokenizer(const llama_vocab* vocab) : vocab_(vocab), vocab_size_(llama_vocab_n_tokens(vocab)) {
  for (llama_token token = 0; token < vocab_size_; ++token) {
    if (llama_vocab_is_eog(vocab, token)) end_of_generation_.push_back(token);
  }
}

Result<std::vector<std::int32_t>> Tokenizer::Tokenize(std::string_view text, bool add_special, bool parse_special) const {
  constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max() / 2;
  if (text.size() > kMostBytes) return InvalidArgument("the text is too long to tokenise");
  const auto length = static_cast<std::int32_t>(text.size());
  std::vector<std::int32_t> tokens(text.size() / 2 + 16);
  const auto run = [&] {
    return llama_tokenize(vocab_, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
  };
  try {
    std::int32_t count = run();
    if (count < 0) {  // -count tokens are needed
      tokens.resize(-count);
      count = run();
    }
    if (count < 0) return Fail(ErrorCode::kInternal, "the tokenizer gave no tokens");
    tokens.resize(count);
    return tokens;
  } catch (const std::exception& error) {
    return InvalidArgument(std::string("the text cannot be tokenised: ") + error.what());
  }
}

std::string Tokenizer::Piece(std::int32_t token, bool render_special) const {
  if (token < 0 || token >= vocab_size_) return {};
  std::string piece(32, '\0');
  const auto run = [&] {
    return llama_token_to_piece(vocab_, token, piece.data(), static_cast<std::int32_t>(piece.size()), 0, render_special);
  };
  std::int32_t size = run();
  if (size < 0) {
    piece.resize(-size);
    size = run();
  }
  piece.resize(size < 0 ? 0 : size);
  return piece;
}

std::string Tokenizer::Detokenize(std::span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t token : tokens) text += Piece(token, true);
  return text;
}

bool Tokenizer::IsEndOfGeneration(std::int32_t token) const { return llama_vocab_is_eog(vocab_, token); }

}  // namespace cllm
