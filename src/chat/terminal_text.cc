#include "chat/terminal_text.h"

#include <algorithm>

#include "base/escape.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::size_t kMostOfMessage = 1000;  // bytes

}  // namespace

std::string ForTerminal(std::string_view utf8) {
  std::string text(utf8);
  std::erase(text, '\r');
  return Escaped(text, "\n\t");
}

std::string ForMessage(std::string_view utf8) {
  std::string line = ForTerminal(Shortened(utf8, kMostOfMessage));
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  return line;
}

}  // namespace cllm
