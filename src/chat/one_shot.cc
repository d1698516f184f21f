#include "chat/one_shot.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/utf8.h"
#include "chat/command.h"
#include "chat/conversation.h"

namespace cllm {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

Status CheckUtf8(const std::string& text, const char* what) {
  std::size_t offset = 0;
  if (IsValidUtf8(text, &offset)) return {};
  return InvalidArgument(fmt::format("{} is not UTF-8 text: byte {} is wrong", what, offset));
}

int Failed(Screen& screen, const Error& error) {
  screen.Complain(error);
  return 1;
}

}  // namespace

Result<std::string> ReadInput(int fd, Interrupts& interrupts) {
  std::string input;
  std::array<char, kReadBytes> buffer;
  while (interrupts.WaitReadable(fd)) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return InvalidArgument(fmt::format("standard input cannot be read: {}", std::strerror(errno)));
    if (count == 0) {
      if (const Status status = CheckUtf8(input, "standard input"); !status) return std::unexpected(status.error());
      return input;
    }
    input.append(buffer.data(), static_cast<std::size_t>(count));
    if (input.size() > kMostInputBytes) {
      return InvalidArgument(fmt::format("standard input has more than {} MiB", kMostInputBytes >> 20));
    }
  }
  return Fail(ErrorCode::kCancelled, "interrupted");
}

Result<std::string> OneShotQuestion(const std::string& argument, const std::string& input) {
  if (const Status status = CheckUtf8(argument, "the prompt"); !status) return std::unexpected(status.error());
  const std::string_view text = std::string_view(input).substr(0, input.find_last_not_of("\r\n") + 1);
  const bool has_argument = !Trimmed(argument).empty();
  const bool has_text = !Trimmed(text).empty();
  if (!has_argument && !has_text) {
    return InvalidArgument("there is nothing to answer: give a PROMPT, or text on standard input");
  }
  if (!has_text) return argument;
  return has_argument ? fmt::format("{}\n\n{}", argument, text) : std::string(text);
}

int AnswerOnce(const std::string& question, const ChatOptions& options, Answerer& answerer, Screen& screen) {
  Conversation conversation;
  conversation.SetSystem(options.system);
  conversation.Ask(question);
  const auto summary =
      answerer.Ask(conversation.messages(), options.settings, [&](std::string_view text) { return screen.WriteAnswer(text); });
  const bool interrupted = summary && summary->interrupted;
  const Status ended = screen.EndAnswer(interrupted && screen.out().terminal);
  if (interrupted) return kInterruptedExitCode;
  if (!summary) return Failed(screen, WithAdvice(summary.error(), answerer.LongerContextAdvice()));
  if (!ended) return Failed(screen, ended.error());
  // A limit of the user's own is no news.
  if (summary->cut && !IsCutAtMaxTokens(*summary, options.settings)) {
    screen.Report(CutNote(*summary, options.settings, answerer.LongerContextAdvice()));
  }
  if (options.verbose) screen.Report(SpeedText(*summary));
  return 0;
}

}  // namespace cllm
