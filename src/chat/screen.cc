#include "chat/screen.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/columns.h"
#include "chat/terminal_text.h"

namespace cllm {
namespace {

// A reader that has enough, such as `head -1`, ends the process as it does with programs that know nothing of it. The signal
// itself is ignored, because a server that goes away sends it as well.
[[noreturn]] void EndByBrokenPipe() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  std::_Exit(128 + SIGPIPE);
}

Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // Another program has made the shared descriptor non-blocking.
      pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&polled, 1, -1);
    } else if (errno == EPIPE) {
      EndByBrokenPipe();
    } else if (errno != EINTR) {
      return Fail(ErrorCode::kInternal, fmt::format("the answer cannot be written: {}", std::strerror(errno)));
    }
  }
  return {};
}

// A line, dim where the target has colour, whoever wrote parts of it. Nothing can be done where it cannot be written.
void WriteLine(const Screen::Target& target, std::string_view text, bool dim) {
  const bool colored = dim && target.color;
  static_cast<void>(WriteAll(target.fd, fmt::format("{}{}{}\n", colored ? "\x1b[2m" : "", ForTerminal(text), colored ? "\x1b[0m" : "")));
}

Screen::Target TargetOf(int fd, bool wants_color) {
  const bool terminal = isatty(fd) == 1;
  return {.fd = fd, .terminal = terminal, .color = terminal && wants_color};
}

}  // namespace

Screen Screen::OfProcess(bool wants_color) { return {TargetOf(STDOUT_FILENO, wants_color), TargetOf(STDERR_FILENO, wants_color)}; }

Status Screen::WriteAnswer(std::string_view text) {
  if (text.empty()) return {};
  line_open_ = !text.ends_with('\n');
  if (!out_.terminal) return WriteAll(out_.fd, text);
  // Asked for each piece, since a window's size changes.
  return WriteAll(out_.fd, wrap_.Push(ForTerminal(text), TerminalColumns(out_.fd).value_or(0)));
}

Status Screen::EndAnswer(bool line_open) {
  wrap_.Reset();
  if (!line_open_ && !line_open) return {};
  line_open_ = false;
  return WriteAll(out_.fd, "\n");
}

void Screen::Say(std::string_view text) { WriteLine(out_, text, false); }

void Screen::Note(std::string_view text) { WriteLine(out_, text, true); }

void Screen::Complain(const Error& error) { WriteLine(err_, "cllm: " + ForMessage(error.message), false); }

void Screen::Report(std::string_view text) { WriteLine(err_, text, true); }

}  // namespace cllm
