// Which model a body asks for, before a dialect of that model reads it.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

// The text of the outermost object's "model"; of several the last, as dialects read it. Empty where there is none, where it is no text, and
// where the body is no JSON: a dialect says what is wrong. Of a text that is longer than any name, a beginning that is so, too. One pass
// over the bytes, in no memory but the name's.
std::string ModelOfBody(std::string_view body);

}  // namespace cllm
