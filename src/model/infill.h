// Prompts for the text in a gap.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/tokenizer.h"

namespace cllm {

// The tokens before a gap, after it, and of what the answer goes on with in it. What is in the texts is text: no control tokens.
// `add_special`: with the token that the model wants before each text. An error where the model knows no gaps.
Result<std::vector<std::int32_t>> TokenizeGap(const Tokenizer& tokenizer, std::string_view prefix, std::string_view suffix,
                                              std::string_view middle, bool add_special, const StopCheck& stop = {});

}  // namespace cllm
