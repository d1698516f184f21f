// The frame of an answer, from llama.cpp's grammars. Inner part of ChatTemplate.
#pragma once

#include <memory>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/answer_frame.h"
#include "model/chat_template.h"

struct common_chat_templates;

namespace cllm {

// Nothing where the answer may be anything, where constrained content is the whole answer, and where llama.cpp makes no grammar: then it
// is left to those who look at the answer. An error is that of `stop` alone.
Result<std::shared_ptr<const AnswerFrame>> FrameFor(const common_chat_templates* templates, const ChatPrompt& prompt,
                                                    const StopCheck& stop);

}  // namespace cllm
