// Text from a model, a server or a file, made harmless for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

// Escaped (base/escape.h) but for newline and tab; carriage returns go. So nothing moves the cursor, sets a title or answers in the
// user's name.
std::string ForTerminal(std::string_view utf8);

// As ForTerminal, on one line and cut where it is long: for messages.
std::string ForMessage(std::string_view utf8);

}  // namespace cllm
