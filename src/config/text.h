// Small text helpers of the options machinery: quoting and wrapping.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cllm::config {

// The text in double quotes, escaped so that YAML reads it back unchanged and that it stays on one line.
// Bytes that are not UTF-8 become \xNN, which is meant for the eye only.
std::string Quoted(std::string_view text);

// The text as it is where Quoted would change nothing in it, else as Quoted: for names in comments and messages.
std::string OneLine(std::string_view text);

// As Quoted, but text longer than 80 bytes is cut at a character and ends in "…": for what a user gave, in messages.
std::string QuotedForMessage(std::string_view text);

// Whether YAML reads the unquoted scalar as something other than text: a number, a boolean or null, in the widest
// sense of YAML 1.1 and 1.2 together.
bool ReadsAsNonText(std::string_view plain_scalar);

std::string LowerAscii(std::string_view text);

// The last name of a dotted path: "host" of "server.host".
std::string_view LastSegment(std::string_view path);

// Words joined by single blanks into lines of at most `width` bytes; a longer word stands alone on its line.
std::vector<std::string> Wrap(std::string_view text, std::size_t width);

}  // namespace cllm::config
