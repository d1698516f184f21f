#include "base/interrupts.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace cllm {
namespace {

constexpr std::chrono::milliseconds kLongestPoll(1 << 30);

std::unexpected<Error> NoDescriptor(const char* what) {
  return Fail(ErrorCode::kInternal, std::string(what) + " cannot be made: " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<Interrupts>> Interrupts::Create() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  const int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return NoDescriptor("a signal descriptor");
  // The kernel drops an ignored signal only where it is not blocked.
  struct sigaction action{};
  if (sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) sigemptyset(&signals);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  return std::unique_ptr<Interrupts>(new Interrupts(fd, before));
}

Interrupts::~Interrupts() {
  Take();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  close(fd_);
}

bool Interrupts::Take() {
  signalfd_siginfo info;
  bool taken = false;
  while (read(fd_, &info, sizeof info) > 0) taken = true;
  return taken;
}

bool Interrupts::WaitFor(std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + time;
  while (true) {
    if (Take()) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd polled{.fd = fd_, .events = POLLIN, .revents = 0};
    poll(&polled, 1, static_cast<int>(std::min(left, kLongestPoll).count()));
  }
}

bool Interrupts::WaitReadable(int fd) {
  while (true) {
    std::array<pollfd, 2> polled = {pollfd{.fd = fd_, .events = POLLIN, .revents = 0}, pollfd{.fd = fd, .events = POLLIN, .revents = 0}};
    const int ready = poll(polled.data(), polled.size(), -1);
    if (ready < 0) continue;  // a signal that has a handler
    if (polled[0].revents != 0 && Take()) return false;
    if (polled[1].revents != 0) return true;
  }
}

Result<std::unique_ptr<EndOnInterrupt>> EndOnInterrupt::Create(Interrupts& interrupts) {
  const int wake_fd = eventfd(0, EFD_CLOEXEC);
  if (wake_fd < 0) return NoDescriptor("an event descriptor");
  return std::unique_ptr<EndOnInterrupt>(new EndOnInterrupt(interrupts, wake_fd));
}

EndOnInterrupt::EndOnInterrupt(Interrupts& interrupts, int wake_fd)
    : wake_fd_(wake_fd), thread_([&interrupts, wake_fd] {
        if (!interrupts.WaitReadable(wake_fd)) std::_Exit(kInterruptedExitCode);
      }) {}

EndOnInterrupt::~EndOnInterrupt() {
  eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
}

}  // namespace cllm
