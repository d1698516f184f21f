// Text ↔ token ids with the vocabulary of a GGUF file. Thread safe: everything is const.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/marked_text.h"

struct llama_vocab;

namespace cllm {

// Tokens that mark what stands before and after a gap, and where the text in it begins.
struct InfillTokens {
  std::int32_t prefix;
  std::int32_t suffix;
  std::int32_t middle;
  std::optional<std::int32_t> project = {};  // before its name
  std::optional<std::int32_t> file = {};     // likewise
};

class Tokenizer {
 public:
  // `vocab` belongs to the model, which outlives the tokenizer.
  explicit Tokenizer(const llama_vocab* vocab);

  // add_special: put BOS (and what else the file asks for) around the text.
  // parse_special: read "<|im_start|>" and the like as the control tokens that they name.
  // Linear in the text but for a logarithm, with a small stack, whatever the text and the vocabulary. A byte that is not UTF-8 counts
  // as U+FFFD where the vocabulary has no tokens for bytes.
  // `stop` is asked now and then, and its error is passed on.
  Result<std::vector<std::int32_t>> Tokenize(std::string_view text, bool add_special, bool parse_special, const StopCheck& stop = {}) const;

  // The same with parse_special, where a control token counts only if all its bytes are trusted. What lies between control tokens is
  // tokenised whole, wherever it comes from.
  Result<std::vector<std::int32_t>> Tokenize(const MarkedText& text, bool add_special, const StopCheck& stop = {}) const;

  // So many bytes of text are at least so many tokens, however they are cut; 0 where the vocabulary knows no such bound, because it
  // drops or merges some of a text.
  std::size_t FewestTokens(std::size_t bytes) const;

  // Bytes of one token; not valid UTF-8 by itself where a character spans tokens. Control tokens are empty unless
  // render_special. An id outside the vocabulary is empty.
  std::string Piece(std::int32_t token, bool render_special) const;

  // The pieces of all tokens in turn, control tokens included.
  std::string Detokenize(std::span<const std::int32_t> tokens) const;

  // Nothing where the model was not made to fill gaps.
  std::optional<InfillTokens> infill_tokens() const;
  // The token before each text, where the model wants one.
  std::optional<std::int32_t> beginning() const;
  // The one that ends a text, where the model names one.
  std::optional<std::int32_t> end() const;

  // The token with exactly this text that is no part of ordinary text: a control token, or one that the vocabulary's maker defined. The
  // first where there are several.
  std::optional<std::int32_t> SpecialToken(std::string_view text) const;
  bool IsEndOfGeneration(std::int32_t token) const;
  const std::vector<std::int32_t>& end_of_generation_tokens() const { return end_of_generation_; }
  int vocab_size() const { return vocab_size_; }

 private:
  const llama_vocab* vocab_;
  int vocab_size_;
  std::size_t longest_piece_;  // bytes; 0 = no bound
  std::vector<std::int32_t> end_of_generation_;
  std::map<std::string, std::int32_t, std::less<>> special_tokens_;  // by their texts
};

}  // namespace cllm
