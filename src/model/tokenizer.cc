#include "model/tokenizer.h"

#include <llama.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <new>

#include "base/invariant.h"

namespace cllm {

namespace {

constexpr int kSpecial = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_USER_DEFINED;
constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max() / 8;

// While it lives, llama.cpp asks `stop` whether this thread's tokens are still wanted.
class AskedStop {
 public:
  explicit AskedStop(const StopCheck& stop) : stop_(stop) {
    if (stop_) llama_set_tokenize_abort([](void* self) { return static_cast<AskedStop*>(self)->IsUnwanted(); }, this);
  }
  ~AskedStop() { llama_set_tokenize_abort(nullptr, nullptr); }
  AskedStop(const AskedStop&) = delete;
  AskedStop& operator=(const AskedStop&) = delete;

  // The last answer.
  const Status& status() const { return status_; }

 private:
  bool IsUnwanted() {
    status_ = stop_();
    return !status_;
  }

  const StopCheck& stop_;
  Status status_;
};

// `run` is llama.cpp's function without its last but one arguments: it fills the tokens, or returns minus how many there are.
template <typename Run>
Result<std::vector<std::int32_t>> RunTokenizer(std::size_t bytes, const StopCheck& stop, const Run& run) {
  if (bytes > kMostBytes) return InvalidArgument("the text is too long to tokenise");
  std::vector<std::int32_t> tokens(bytes + 16);
  const AskedStop asked(stop);
  try {
    std::int32_t count = run(tokens);
    if (count < 0) {  // -count tokens are needed
      tokens.resize(-count);
      count = run(tokens);
    }
    if (count < 0) return Fail(ErrorCode::kInternal, "the tokenizer gave no tokens");
    tokens.resize(count);
    return tokens;
  } catch (const std::bad_alloc&) {
    throw;  // no fault of the text
  } catch (const std::exception& error) {
    if (!asked.status()) return std::unexpected(asked.status().error());
    return InvalidArgument(std::string("the text cannot be tokenised: ") + error.what());
  }
}

std::optional<std::int32_t> TokenOrNothing(llama_token token) { return token == LLAMA_TOKEN_NULL ? std::nullopt : std::optional(token); }

}  // namespace

Tokenizer::Tokenizer(const llama_vocab* vocab)
    : vocab_(vocab), vocab_size_(llama_vocab_n_tokens(vocab)), longest_piece_(llama_vocab_longest_piece(vocab)) {
  for (llama_token token = 0; token < vocab_size_; ++token) {
    if (llama_vocab_is_eog(vocab, token)) end_of_generation_.push_back(token);
    if ((llama_vocab_get_attr(vocab, token) & kSpecial) != 0) special_tokens_.emplace(Piece(token, true), token);
  }
}

Result<std::vector<std::int32_t>> Tokenizer::Tokenize(std::string_view text, bool add_special, bool parse_special,
                                                      const StopCheck& stop) const {
  return RunTokenizer(text.size(), stop, [&](std::vector<std::int32_t>& tokens) {
    return llama_tokenize(vocab_, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                          static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
  });
}

Result<std::vector<std::int32_t>> Tokenizer::Tokenize(const MarkedText& text, bool add_special, const StopCheck& stop) const {
  std::vector<std::uint8_t> trusted(text.text.size());
  for (const ByteRange& range : text.trusted) {
    CheckInvariant(range.begin <= range.end && range.end <= trusted.size(), "a trusted range lies in its text");
    std::fill(trusted.begin() + static_cast<std::ptrdiff_t>(range.begin), trusted.begin() + static_cast<std::ptrdiff_t>(range.end), 1);
  }
  return RunTokenizer(text.text.size(), stop, [&](std::vector<std::int32_t>& tokens) {
    return llama_tokenize_trusted(vocab_, text.text.data(), static_cast<std::int32_t>(text.text.size()), trusted.data(), tokens.data(),
                                  static_cast<std::int32_t>(tokens.size()), add_special);
  });
}

std::size_t Tokenizer::FewestTokens(std::size_t bytes) const {
  return longest_piece_ == 0 ? 0 : (bytes + longest_piece_ - 1) / longest_piece_;
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

std::optional<InfillTokens> Tokenizer::infill_tokens() const {
  const InfillTokens tokens{.prefix = llama_vocab_fim_pre(vocab_),
                            .suffix = llama_vocab_fim_suf(vocab_),
                            .middle = llama_vocab_fim_mid(vocab_),
                            .project = TokenOrNothing(llama_vocab_fim_rep(vocab_)),
                            .file = TokenOrNothing(llama_vocab_fim_sep(vocab_))};
  const bool has_all = tokens.prefix != LLAMA_TOKEN_NULL && tokens.suffix != LLAMA_TOKEN_NULL && tokens.middle != LLAMA_TOKEN_NULL;
  return has_all ? std::optional(tokens) : std::nullopt;
}

std::optional<std::int32_t> Tokenizer::beginning() const {
  const std::int32_t token = llama_vocab_bos(vocab_);
  return llama_vocab_get_add_bos(vocab_) && token != LLAMA_TOKEN_NULL ? std::optional(token) : std::nullopt;
}

std::optional<std::int32_t> Tokenizer::end() const { return TokenOrNothing(llama_vocab_eos(vocab_)); }

std::optional<std::int32_t> Tokenizer::SpecialToken(std::string_view text) const {
  const auto found = special_tokens_.find(text);
  return found == special_tokens_.end() ? std::nullopt : std::optional(found->second);
}

bool Tokenizer::IsEndOfGeneration(std::int32_t token) const { return llama_vocab_is_eog(vocab_, token); }

}  // namespace cllm
