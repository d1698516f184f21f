// One question, one answer, no chat: for pipes and scripts.
#pragma once

#include <optional>
#include <string>

#include "base/interrupts.h"
#include "base/status.h"
#include "chat/answerer.h"
#include "chat/screen.h"
#include "chat/session.h"

namespace cllm {

inline constexpr std::size_t kMostInputBytes = 64 << 20;

// All that `fd` gives until its end, valid UTF-8. ErrorCode::kCancelled where SIGINT came first.
Result<std::string> ReadInput(int fd, Interrupts& interrupts);

// The question that an argument and an input make: the argument, a blank line, the input without the line ends behind it.
// An error where neither says anything.
Result<std::string> OneShotQuestion(const std::string& argument, const std::string& input);

// Streams the answer to the screen and ends it with a newline. Returns the exit code: 0, 1 with a message on standard
// error, or kInterruptedExitCode.
int AnswerOnce(const std::string& question, const ChatOptions& options, Answerer& answerer, Screen& screen);

}  // namespace cllm
