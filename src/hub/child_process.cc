#include "hub/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "hub/file_system.h"

extern char** environ;

namespace cllm {
namespace {

constexpr int kTickMs = 100;
constexpr std::size_t kMostErrorBytes = 64 << 10;

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;

  static Result<Pipe> Create() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(ErrorCode::kInternal, "no pipe for a child process");
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

// Our environment with another TMPDIR.
std::vector<std::string> EnvironmentWith(const std::filesystem::path& temporary) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (temporary.empty() || !std::string_view(*entry).starts_with("TMPDIR=")) entries.emplace_back(*entry);
  }
  if (!temporary.empty()) entries.push_back("TMPDIR=" + temporary.string());
  return entries;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// With no signal blocked: we block SIGINT while we pull, the child must not.
Result<pid_t> Spawn(const ChildCommand& command, const Pipe& output, const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.write_end.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = EnvironmentWith(command.temporary);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, arguments[0].c_str(), &actions, &attributes, Pointers(arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return child;
  return Fail(ErrorCode::kNotFound, fmt::format("cannot run {}: {}", command.arguments[0], std::strerror(error)));
}

std::string LastLine(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return {};
  const std::size_t before = text.find_last_of("\n\r", end);
  return text.substr(before == std::string::npos ? 0 : before + 1, end - (before == std::string::npos ? 0 : before + 1) + 1);
}

// Reads both pipes until both are closed.
Status ReadPipes(const Pipe& output, const Pipe& errors, Patience& patience, const std::function<Status(std::string_view)>& on_output,
                 const std::function<void()>& on_tick, std::string& error_text) {
  std::array<pollfd, 2> polled = {{{output.read_end.get(), POLLIN, 0}, {errors.read_end.get(), POLLIN, 0}}};
  std::vector<char> block(256 << 10);
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    poll(polled.data(), polled.size(), kTickMs);
    on_tick();
    if (patience.Interrupted()) return Fail(ErrorCode::kCancelled, "interrupted");
    for (pollfd& one : polled) {
      if (one.fd < 0 || one.revents == 0) continue;
      const ssize_t got = read(one.fd, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      const std::string_view bytes(block.data(), static_cast<std::size_t>(got > 0 ? got : 0));
      if (got <= 0) {
        one.fd = -1;  // poll passes over it
      } else if (&one == &polled[0]) {
        if (Status status = on_output(bytes); !status) return status;
      } else {
        error_text += bytes;
        if (error_text.size() > kMostErrorBytes) error_text.erase(0, error_text.size() - kMostErrorBytes);
      }
    }
  }
  return {};
}

}  // namespace

Result<ChildOutcome> RunChild(const ChildCommand& command, Patience& patience, const std::function<Status(std::string_view)>& on_output,
                              const std::function<void()>& on_tick) {
  auto output = Pipe::Create();
  auto errors = Pipe::Create();
  if (!output || !errors) return std::unexpected(output ? errors.error() : output.error());
  const auto child = Spawn(command, *output, *errors);
  if (!child) return std::unexpected(child.error());
  output->write_end = Descriptor();
  errors->write_end = Descriptor();
  std::string error_text;
  const Status read_status = ReadPipes(*output, *errors, patience, on_output, on_tick, error_text);
  if (!read_status) kill(*child, SIGTERM);
  int status = 0;
  while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!read_status) return std::unexpected(read_status.error());
  return ChildOutcome{.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .last_error = LastLine(error_text)};
}

}  // namespace cllm
