// Text ↔ token ids with the vocabulary of a GGUF file. Thread safe: everything is const.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

struct llama_vocab;

namespace cllm {

class Tokenizer {
 public:
  // `vocab` belongs to the model, which outlives the tokenizer.
  explicit Tokenizer(const llama_vocab* vocab);

  // add_special: put BOS (and what else the file asks for) around the text.
  // parse_special: read "<|im_start|>" and the like as the control tokens that they name.
  Result<std::vector<std::int32_t>> Tokenize(std::string_view text, bool add_special, bool parse_special) const;

  // Bytes of one token; not valid UTF-8 by itself where a character spans tokens. Control tokens are empty unless
  // render_special. An id outside the vocabulary is empty.
  std::string Piece(std::int32_t token, bool render_special) const;

  // The pieces of all tokens in turn, control tokens included.
  std::string Detokenize(std::span<const std::int32_t> tokens) const;

  bool IsEndOfGeneration(std::int32_t token) const;
  const std::vector<std::int32_t>& end_of_generation_tokens() const { return end_of_generation_; }
  int vocab_size() const { return vocab_size_; }

 private:
  const llama_vocab* vocab_;
  int vocab_size_;
  std::vector<std::int32_t> end_of_generation_;
};

}  // namespace cllm
