// For the files of this room that include xgrammar.
#pragma once

#include <xgrammar/tokenizer_info.h>

#include "grammar/vocabulary.h"

namespace cllm {

inline xgrammar::TokenizerInfo ToXGrammar(const Vocabulary& vocabulary) {
  return xgrammar::TokenizerInfo(vocabulary.pieces, xgrammar::VocabType::RAW, static_cast<int>(vocabulary.pieces.size()), vocabulary.ends);
}

}  // namespace cllm
