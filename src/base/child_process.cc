#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

extern char** environ;

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseWriter();
    if (reader() >= 0) close(reader());
  }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseWriter() {
    if (writer() >= 0) close(writer());
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

// What posix_spawn needs besides the command.
class SpawnSetting {
 public:
  explicit SpawnSetting(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetting(const SpawnSetting&) = delete;
  SpawnSetting& operator=(const SpawnSetting&) = delete;
  ~SpawnSetting() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const auto same_name = [&](const std::string& other) { return other.substr(0, other.find('=')) == text.substr(0, text.find('=')); };
    if (std::ranges::none_of(added, same_name)) all.emplace_back(text);
  }
  return all;
}

// Reads until the child has closed its output, or until the deadline: false.
bool ReadAll(int reader, Clock::time_point deadline, std::size_t most_bytes, std::string& output) {
  std::array<char, 4096> buffer{};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd watched{.fd = reader, .events = POLLIN, .revents = 0};
    const int ready = poll(&watched, 1, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    const ssize_t count = read(reader, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    output.append(buffer.data(), static_cast<std::size_t>(count));
    if (output.size() > 2 * most_bytes) output.erase(0, output.size() - most_bytes);
  }
}

}  // namespace

Result<ChildResult> RunChild(const ChildOptions& options) {
  Pipe pipe;
  if (pipe.reader() < 0) return Fail(ErrorCode::kInternal, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  const SpawnSetting setting(pipe.writer());
  const std::vector<std::string> environment = Environment(options.environment);
  const auto deadline = Clock::now() + options.timeout;
  pid_t child = 0;
  const int code = posix_spawn(&child, options.command.front().c_str(), setting.actions(), setting.attributes(),
                               Pointers(options.command).data(), Pointers(environment).data());
  if (code != 0) {
    return Fail(ErrorCode::kInternal, fmt::format("cannot start {}: {}", options.command.front(), std::strerror(code)));
  }
  pipe.CloseWriter();
  ChildResult result;
  result.timed_out = !ReadAll(pipe.reader(), deadline, options.most_output_bytes, result.output);
  if (result.timed_out) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    return Fail(ErrorCode::kInternal, fmt::format("cannot learn how {} ended: {}", options.command.front(), std::strerror(errno)));
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (result.output.size() > options.most_output_bytes) {
    result.output.erase(0, result.output.size() - options.most_output_bytes);
  }
  return result;
}

}  // namespace cllm
