#include "base/running_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include <fmt/format.h>

extern char** environ;

namespace cllm {
namespace {

constexpr int kFirstDescriptor = 3;
constexpr std::chrono::milliseconds kBetweenLooksAtChild(10);

// Copies beyond all numbers that the child's files get, so that none is overwritten before it is passed on.
class HighCopies {
 public:
  HighCopies(const std::vector<int>& descriptors) {
    const int least = kFirstDescriptor + static_cast<int>(descriptors.size());
    for (const int descriptor : descriptors) copies_.push_back(fcntl(descriptor, F_DUPFD_CLOEXEC, least));
  }
  HighCopies(const HighCopies&) = delete;
  HighCopies& operator=(const HighCopies&) = delete;
  ~HighCopies() {
    for (const int copy : copies_) {
      if (copy >= 0) close(copy);
    }
  }
  const std::vector<int>& numbers() const { return copies_; }

 private:
  std::vector<int> copies_;
};

struct ChildSetting {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};

  explicit ChildSetting(const std::vector<int>& descriptors) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    int number = kFirstDescriptor;
    for (const int descriptor : descriptors) posix_spawn_file_actions_adddup2(&actions, descriptor, number++);
    posix_spawn_file_actions_addclosefrom_np(&actions, number);
    posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ChildSetting(const ChildSetting&) = delete;
  ChildSetting& operator=(const ChildSetting&) = delete;
  ~ChildSetting() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

Result<std::unique_ptr<RunningChild>> RunningChild::Start(const Options& options) {
  const HighCopies copies(options.descriptors);
  const ChildSetting setting(copies.numbers());
  std::vector<char*> arguments;
  for (const std::string& argument : options.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int code = posix_spawnp(&pid, arguments.front(), &setting.actions, &setting.attributes, arguments.data(), environ);
  if (code == 0) return std::unique_ptr<RunningChild>(new RunningChild(pid));
  return Fail(code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal,
              fmt::format("cannot start {}: {}", options.command.front(), std::strerror(code)));
}

RunningChild::~RunningChild() {
  Signal(SIGKILL);
  WaitUntil(std::chrono::steady_clock::time_point::max());
}

// With the mutex held.
bool RunningChild::Look() const {
  if (has_ended_) return true;
  int status = 0;
  const pid_t seen = waitpid(pid_, &status, WNOHANG);
  if (seen == 0 || (seen < 0 && errno == EINTR)) return false;
  has_ended_ = true;
  if (seen < 0) {
    how_ = "it is gone";
  } else if (WIFSIGNALED(status)) {
    how_ = fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  } else {
    how_ = fmt::format("exit code {}", WEXITSTATUS(status));
  }
  return true;
}

bool RunningChild::has_ended() const {
  const std::lock_guard lock(mutex_);
  return Look();
}

std::string RunningChild::how_it_ended() const {
  const std::lock_guard lock(mutex_);
  return Look() ? how_ : std::string();
}

void RunningChild::Signal(int number) const {
  const std::lock_guard lock(mutex_);
  if (!Look()) kill(pid_, number);
}

bool RunningChild::WaitUntil(std::chrono::steady_clock::time_point until) const {
  while (!has_ended()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kBetweenLooksAtChild);
  }
  return true;
}

void EndWithParent(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have ended before, and the signal is for the end of the thread that started this process.
  std::thread([parent] {
    pollfd end{.fd = parent, .events = POLLIN, .revents = 0};
    while (poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
    _exit(1);
  }).detach();
}

}  // namespace cllm
