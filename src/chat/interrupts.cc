#include "chat/interrupts.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace cllm {
namespace {

std::unexpected<Error> NoDescriptor(const char* what) {
  return Fail(ErrorCode::kInternal, std::string(what) + " cannot be made: " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<Interrupts>> Interrupts::Create() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return NoDescriptor("a signal descriptor");
  return std::unique_ptr<Interrupts>(new Interrupts(fd));
}

Interrupts::~Interrupts() { close(fd_); }

bool Interrupts::Take() {
  signalfd_siginfo info;
  bool taken = false;
  while (read(fd_, &info, sizeof info) > 0) taken = true;
  return taken;
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
