#include "base/escape.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

constexpr char32_t kDelete = 0x7F;

// Takes the first character off `text`; a byte that is no UTF-8 is taken alone.
std::string_view TakeCharacter(std::string_view& text) {
  const std::string_view character = text.substr(0, std::max<std::size_t>(1, CharacterLength(text)));
  text.remove_prefix(character.size());
  return character;
}

}  // namespace

bool IsObeyed(char32_t character) {
  const auto is_in = [&](char32_t first, char32_t last) { return character >= first && character <= last; };
  return character < 0x20 || is_in(kDelete, 0x9F) || is_in(0x2028, 0x202E) || is_in(0x2066, 0x2069);
}

std::string EscapeOf(char32_t character) {
  if (character == '\n') return "\\n";
  if (character == '\t') return "\\t";
  const auto number = static_cast<std::uint32_t>(character);
  return number < 0x100 ? fmt::format("\\x{:02x}", number) : fmt::format("\\u{:04x}", number);
}

std::string Escaped(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view character = TakeCharacter(text);
    if (CharacterLength(character) == 0) {
      out += EscapeOf(static_cast<unsigned char>(character[0]));
    } else if (IsObeyed(CodePoint(character)) && !kept.contains(character)) {
      out += EscapeOf(CodePoint(character));
    } else {
      out += character;
    }
  }
  return out;
}

std::string EscapedJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const std::string_view character = TakeCharacter(json);
    const char32_t point = CodePoint(character);
    if (point >= kDelete && IsObeyed(point)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
    } else {
      out += character;
    }
  }
  return out;
}

}  // namespace cllm
