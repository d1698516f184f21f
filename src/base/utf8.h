// UTF-8 that arrives in pieces: tokens can end in the middle of a character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cllm {

// Turns a stream of bytes into a stream of valid UTF-8. A character waits until it is complete; a byte that can't
// begin or continue one becomes U+FFFD, by the "maximal subpart" practice of the Unicode standard (section 3.9).
class Utf8Assembler {
 public:
  // What of all bytes so far is decided and was not returned before.
  std::string Push(std::string_view bytes);
  // The rest: an unfinished character becomes one U+FFFD.
  std::string Finish();

 private:
  std::string pending_;  // at most 3 bytes that begin a character
};

// Whether `text` is valid UTF-8; where it is not, *offset (if given) is the first bad byte.
bool IsValidUtf8(std::string_view text, std::size_t* offset = nullptr);

// The length in bytes of the valid character that `text` begins with; 0 where there is none.
std::size_t CharacterLength(std::string_view text);

// The code point of one character; U+FFFD where `character` is no valid one.
char32_t CodePoint(std::string_view character);

// The longest beginning of `text` that has at most `most_bytes` and does not end within a character.
std::string_view WholeCharacters(std::string_view text, std::size_t most_bytes);

// `text` for a message: valid UTF-8, cut between two characters where it is longer than `most_bytes`, with "…" for the rest.
std::string Shortened(std::string_view text, std::size_t most_bytes = 100);

}  // namespace cllm
