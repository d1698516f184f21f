// The arguments of calls, where a model writes each between marks of its own. Inner part of FrameFor.
#pragma once

#include <vector>

#include "model/answer_frame.h"
#include "model/chat_template.h"

struct common_chat_params;

namespace cllm {

// llama.cpp's grammar for calls with places for the values of arguments: first those that are required, then the others, each once, in the
// order of their tool. Without arguments where those of one tool can't be made out. Throws what the library throws.
struct FramedCalls {
  std::string grammar = {};
  std::vector<FramedArgument> arguments = {};
};
FramedCalls FrameArguments(const common_chat_params& params, const ChatPrompt& prompt);

}  // namespace cllm
