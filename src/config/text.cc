#include "config/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "base/escape.h"
#include "base/utf8.h"

namespace cllm::config {
namespace {

// Digits with YAML 1.1's separators and prefixes: 12, 0x1F, 0o17, 0b101, 1_000, 12:30:00.
bool ReadsAsInteger(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0o") || text.starts_with("0b")) {
    text.remove_prefix(2);
    return !text.empty() && text.find_first_not_of("0123456789abcdef_") == std::string_view::npos;
  }
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) &&
         text.find_first_not_of("0123456789_:") == std::string_view::npos;
}

// One optional point among the digits and an optional exponent: 1.5, .5, 5., 1e9.
bool ReadsAsFloat(std::string_view text) {
  if (text == ".inf" || text == ".nan") return true;
  const std::size_t exponent = text.find('e');
  const std::string_view mantissa = text.substr(0, exponent);
  if (mantissa.find_first_not_of("0123456789_.") != std::string_view::npos) return false;
  if (mantissa.find_first_of("0123456789") == std::string_view::npos) return false;
  if (std::ranges::count(mantissa, '.') > 1) return false;
  if (exponent == std::string_view::npos) return true;
  std::string_view power = text.substr(exponent + 1);
  if (power.starts_with('+') || power.starts_with('-')) power.remove_prefix(1);
  return !power.empty() && power.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr char32_t kByteOrderMark = 0xFEFF;
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = CharacterLength(text.substr(at));
    const std::string_view character = text.substr(at, std::max<std::size_t>(length, 1));
    if (character == "\"" || character == "\\") {
      out += '\\';
      out += character;
    } else if (length == 0) {
      out += EscapeOf(static_cast<std::uint8_t>(character[0]));
    } else if (const char32_t point = CodePoint(character); IsObeyed(point) || point == kByteOrderMark) {
      out += EscapeOf(point);  // some of them YAML 1.1 takes for line breaks
    } else {
      out += character;
    }
    at += character.size();
  }
  return out + '"';
}

std::string OneLine(std::string_view text) {
  std::string quoted = Quoted(text);
  return quoted.size() == text.size() + 2 ? std::string(text) : quoted;
}

std::string QuotedForMessage(std::string_view text) {
  constexpr std::size_t kMostBytes = 80;
  const std::string_view head = WholeCharacters(text, kMostBytes);
  return head.size() == text.size() ? Quoted(text) : Quoted(head) + "…";
}

bool ReadsAsNonText(std::string_view plain_scalar) {
  static constexpr std::array<std::string_view, 9> kWords = {"", "~", "null", "true", "false", "yes", "no", "on", "off"};
  const std::string lower = LowerAscii(plain_scalar);
  if (std::ranges::find(kWords, lower) != kWords.end()) return true;
  std::string_view number = lower;
  if (number.starts_with('+') || number.starts_with('-')) number.remove_prefix(1);
  return ReadsAsInteger(number) || ReadsAsFloat(number);
}

std::string_view LastSegment(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::vector<std::string> Wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(" \n", at)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (lines.empty() || lines.back().size() + 1 + word.size() > width) {
      lines.emplace_back(word);
    } else {
      lines.back() += ' ';
      lines.back() += word;
    }
    at = end;
  }
  return lines;
}

}  // namespace cllm::config
