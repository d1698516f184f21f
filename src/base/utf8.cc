#include "base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace cllm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

enum class Scan : std::uint8_t { kValid, kIncomplete, kInvalid };

struct Character {
  Scan scan;
  std::size_t length;  // bytes of the character, or of the ill-formed part
};

// Looks at the character that `text` (not empty) begins with: Unicode 15, table 3-7.
Character FirstCharacter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {Scan::kValid, 1};
  std::size_t length = 0;
  unsigned char least = 0x80;  // bounds of the second byte
  unsigned char most = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) least = 0xA0;
    if (lead == 0xED) most = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) least = 0x90;
    if (lead == 0xF4) most = 0x8F;
  } else {
    return {Scan::kInvalid, 1};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Scan::kIncomplete, i};
    if (byte(i) < least || byte(i) > most) return {Scan::kInvalid, i};
    least = 0x80;
    most = 0xBF;
  }
  return {Scan::kValid, length};
}

}  // namespace

std::string Utf8Assembler::Push(std::string_view bytes) {
  pending_ += bytes;
  std::string decided;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Character character = FirstCharacter(rest);
    if (character.scan == Scan::kIncomplete) break;
    decided += character.scan == Scan::kValid ? rest.substr(0, character.length) : kReplacement;
    rest.remove_prefix(character.length);
  }
  pending_ = std::string(rest);
  return decided;
}

std::string Utf8Assembler::Finish() {
  const bool unfinished = !pending_.empty();
  pending_.clear();
  return std::string(unfinished ? kReplacement : std::string_view());
}

bool IsValidUtf8(std::string_view text, std::size_t* offset) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Character character = FirstCharacter(text.substr(at));
    if (character.scan != Scan::kValid) {
      if (offset != nullptr) *offset = at;
      return false;
    }
    at += character.length;
  }
  return true;
}

std::size_t CharacterLength(std::string_view text) {
  if (text.empty()) return 0;
  const Character first = FirstCharacter(text);
  return first.scan == Scan::kValid ? first.length : 0;
}

char32_t CodePoint(std::string_view character) {
  constexpr char32_t kReplacementPoint = 0xFFFD;
  const std::size_t length = CharacterLength(character);
  if (length == 0) return kReplacementPoint;
  // The lead byte has 7, 5, 4 or 3 bits of it, each further byte 6.
  char32_t point = static_cast<unsigned char>(character[0]) & (length == 1 ? 0x7FU : 0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) point = point << 6 | (static_cast<unsigned char>(character[i]) & 0x3FU);
  return point;
}

std::string_view WholeCharacters(std::string_view text, std::size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  // A character has at most 4 bytes, so the one that the cut may split begins in the last 3.
  for (std::size_t at = most_bytes - std::min<std::size_t>(most_bytes, 3); at < most_bytes; ++at) {
    if (at + CharacterLength(text.substr(at, 4)) > most_bytes) return text.substr(0, at);
  }
  return text.substr(0, most_bytes);
}

std::string Shortened(std::string_view text, std::size_t most_bytes) {
  const std::string_view head = WholeCharacters(text, most_bytes);
  Utf8Assembler assembler;
  std::string shown = assembler.Push(head);
  shown += assembler.Finish();
  return head.size() == text.size() ? shown : shown + "…";
}

}  // namespace cllm
