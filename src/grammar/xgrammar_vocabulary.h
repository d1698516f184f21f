// For the files of this room that include xgrammar.
#pragma once

#include <xgrammar/tokenizer_info.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "grammar/vocabulary.h"

namespace cllm {

// Of a control token that ends nothing: the library would never let a token without bytes come, not where a grammar names it either. No
// text holds this byte.
inline constexpr char kPieceOfControl[] = "\xFF";

inline bool IsControl(const Vocabulary& vocabulary, std::int32_t token) {
  return vocabulary.pieces[static_cast<std::size_t>(token)].empty() && std::ranges::find(vocabulary.ends, token) == vocabulary.ends.end();
}

inline xgrammar::TokenizerInfo ToXGrammar(const Vocabulary& vocabulary) {
  std::vector<std::string> pieces = vocabulary.pieces;
  for (std::size_t token = 0; token < pieces.size(); ++token) {
    if (IsControl(vocabulary, static_cast<std::int32_t>(token))) pieces[token] = kPieceOfControl;
  }
  return xgrammar::TokenizerInfo(pieces, xgrammar::VocabType::RAW, static_cast<int>(pieces.size()), vocabulary.ends);
}

}  // namespace cllm
