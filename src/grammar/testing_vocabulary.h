// A vocabulary for tests: each byte, then an end of text.
#pragma once

#include <cstdint>
#include <string>

#include "grammar/vocabulary.h"

namespace cllm {

inline constexpr std::int32_t kEndOfBytes = 256;

inline Vocabulary ByteVocabulary() {
  Vocabulary vocabulary;
  for (int byte = 0; byte < kEndOfBytes; ++byte) vocabulary.pieces.emplace_back(1, static_cast<char>(byte));
  vocabulary.pieces.emplace_back();
  vocabulary.ends = {kEndOfBytes};
  return vocabulary;
}

}  // namespace cllm
