// Grammars in llama.cpp's GBNF.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

// The grammar as the library reads it: the same names do not mean the same to both, nor do ends of lines, "\x", "." and bounds of
// repetitions. An error, which names the line, for what llama.cpp doesn't read, and for tokens ("<[12]>", "!<think>").
Result<std::string> FromGbnf(std::string_view gbnf);

}  // namespace cllm
