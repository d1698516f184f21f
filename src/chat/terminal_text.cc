#include "chat/terminal_text.h"

#include <algorithm>

#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kDeletePicture = "\xE2\x90\xA1";  // U+2421
constexpr unsigned char kDelete = 0x7F;
constexpr unsigned char kFirstPrintable = 0x20;
constexpr std::size_t kMostOfMessage = 1000;  // bytes

// U+2400 and on: a picture for each control character.
std::string ControlPicture(unsigned char control) { return {'\xE2', '\x90', static_cast<char>(0x80 + control)}; }

// C1 controls are U+0080 to U+009F, in UTF-8 C2 80 to C2 9F; terminals take U+009B for ESC [.
bool IsC1(std::string_view text, std::size_t at) {
  return text[at] == '\xC2' && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
}

}  // namespace

std::string ForTerminal(std::string_view utf8) {
  std::string shown;
  shown.reserve(utf8.size());
  for (std::size_t at = 0; at < utf8.size(); ++at) {
    const auto byte = static_cast<unsigned char>(utf8[at]);
    if (byte == '\r') continue;
    if (byte == '\n' || byte == '\t') {
      shown += utf8[at];
    } else if (byte < kFirstPrintable) {
      shown += ControlPicture(byte);
    } else if (byte == kDelete) {
      shown += kDeletePicture;
    } else if (IsC1(utf8, at)) {
      shown += kReplacement;
      ++at;
    } else {
      shown += utf8[at];
    }
  }
  return shown;
}

std::string ForMessage(std::string_view utf8) {
  std::string line = ForTerminal(Shortened(utf8, kMostOfMessage));
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  return line;
}

}  // namespace cllm
