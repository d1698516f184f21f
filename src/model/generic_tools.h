// Tools for models whose template knows none: a system message describes them, and calls are JSON between <tool_call> and </tool_call>,
// as the Hermes models write them (and Qwen's, and Granite's).
#pragma once

#include "model/chat_template.h"

namespace cllm {

// The chat with its tools, calls and results as text of messages. `knows_system`: the template takes a system message.
ChatPrompt WithToolsAsText(const ChatPrompt& prompt, bool knows_system);

// A template whose answers are built as those to such a chat: it stands for the model's own where answers are read.
const char* GenericToolTemplate();
// How a prompt by it ends.
inline constexpr char kGenericAnswerBegins[] = "<|assistant|>\n";

}  // namespace cllm
