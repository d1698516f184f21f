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
#include <span>

#include <fmt/format.h>

extern char** environ;

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick(100);
constexpr std::chrono::milliseconds kLongestWait(1 << 30);
constexpr std::size_t kBlockBytes = 64 << 10;

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
  SpawnSetting(int input, int output, int errors) {
    posix_spawn_file_actions_init(&actions_);
    if (input >= 0) {
      posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    } else {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
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

// Reads what a child writes.
class Reader {
 public:
  Reader(const ChildOptions& options, std::string& kept) : options_(options), kept_(kept) {}

  // Until all of `ends` are closed (true) or the deadline is over; the first end is that of standard output.
  Result<bool> ReadAll(std::span<pollfd> ends, Clock::time_point deadline) {
    while (std::ranges::any_of(ends, [](const pollfd& end) { return end.fd >= 0; })) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return false;
      const int ready = poll(ends.data(), ends.size(), static_cast<int>(std::min(left, options_.on_tick ? kTick : kLongestWait).count()));
      if (ready < 0 && errno != EINTR) return Fail(ErrorCode::kInternal, fmt::format("cannot wait for a child: {}", std::strerror(errno)));
      if (options_.on_tick) {
        if (Status status = options_.on_tick(); !status) return std::unexpected(status.error());
      }
      for (std::size_t i = 0; ready > 0 && i < ends.size(); ++i) {
        if (Status status = Read(ends[i], i == 0 && options_.on_output); !status) return std::unexpected(status.error());
      }
    }
    return true;
  }

 private:
  Status Read(pollfd& end, bool hand_on) {
    if (end.fd < 0 || end.revents == 0) return {};
    const ssize_t count = read(end.fd, block_.data(), block_.size());
    if (count < 0 && errno == EINTR) return {};
    if (count <= 0) {
      end.fd = -1;  // poll passes over it
      return {};
    }
    const std::string_view bytes(block_.data(), static_cast<std::size_t>(count));
    if (hand_on) return options_.on_output(bytes);
    kept_ += bytes;
    if (kept_.size() > 2 * options_.most_output_bytes) kept_.erase(0, kept_.size() - options_.most_output_bytes);
    return {};
  }

  const ChildOptions& options_;
  std::string& kept_;
  std::vector<char> block_ = std::vector<char>(kBlockBytes);
};

Result<pid_t> Spawn(const ChildOptions& options, int output, int errors) {
  const SpawnSetting setting(options.input, output, errors);
  const std::vector<std::string> environment = Environment(options.environment);
  pid_t child = 0;
  const int code = posix_spawnp(&child, options.command.front().c_str(), setting.actions(), setting.attributes(),
                                Pointers(options.command).data(), Pointers(environment).data());
  if (code == 0) return child;
  return Fail(code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal,
              fmt::format("cannot start {}: {}", options.command.front(), std::strerror(code)));
}

}  // namespace

Result<ChildResult> RunChild(const ChildOptions& options) {
  Pipe output;
  Pipe errors;
  if (output.reader() < 0 || errors.reader() < 0) {
    return Fail(ErrorCode::kInternal, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  const auto deadline = options.timeout ? Clock::now() + *options.timeout : Clock::time_point::max();
  // Where both are kept they share a pipe, so that they stay in their order.
  const auto child = Spawn(options, output.writer(), options.on_output ? errors.writer() : output.writer());
  if (!child) return std::unexpected(child.error());
  output.CloseWriter();
  errors.CloseWriter();
  ChildResult result;
  std::array<pollfd, 2> ends = {pollfd{.fd = output.reader(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = errors.reader(), .events = POLLIN, .revents = 0}};
  const auto ended = Reader(options, result.output).ReadAll(ends, deadline);
  result.timed_out = ended && !*ended;
  if (!ended || result.timed_out) kill(*child, SIGKILL);
  int status = 0;
  while (waitpid(*child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    return Fail(ErrorCode::kInternal, fmt::format("cannot learn how {} ended: {}", options.command.front(), std::strerror(errno)));
  }
  if (!ended) return std::unexpected(ended.error());
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (result.output.size() > options.most_output_bytes) {
    result.output.erase(0, result.output.size() - options.most_output_bytes);
  }
  return result;
}

}  // namespace cllm
