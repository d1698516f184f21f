// One escaping for all that a person, a terminal or a scraper reads: names of files, a model's metadata, what servers and models
// say. It is done where text leaves the program, so that no message can be forgotten where it is made.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

// Whether the character does something instead of being seen: control characters (C0, DEL and C1), the line and paragraph
// separators, and what turns the direction of the text around it (embeddings, overrides, isolates).
bool IsObeyed(char32_t character);

// "\n", "\t", "\x1b" or "\u202e".
std::string EscapeOf(char32_t character);

// The text with an escape for each character that is obeyed, but those in `kept`, and \xNN for each byte that is no UTF-8.
// Backslashes stay as they are, so that escaping twice does no harm.
std::string Escaped(std::string_view text, std::string_view kept = "");

// JSON text, which may hold them as they are, with \uNNNN for characters beyond ASCII that are obeyed, and for DEL.
std::string EscapedJson(std::string_view json);

}  // namespace cllm
