// How much room text takes on a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace cllm {

// The columns of one printable character, as terminals have them: 0 where it joins the one before (accents, joiners), 2 for
// those of East Asian scripts and pictures, else 1. The C library's wcwidth knows it only under a locale.
int ColumnsOf(char32_t character);

// The sum over `text`; a byte that is no UTF-8 counts as one.
std::size_t Columns(std::string_view text);

// The width of the terminal that `fd` is; nothing where it is none, or does not know.
std::optional<std::size_t> TerminalColumns(int fd);

}  // namespace cllm
