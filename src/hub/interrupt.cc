#include "hub/interrupt.h"

#include <poll.h>

#include <algorithm>

namespace cllm {
namespace {

constexpr std::chrono::milliseconds kLook(100);

sigset_t OnlyInterrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

InterruptSignal::InterruptSignal() {
  const sigset_t signals = OnlyInterrupt();
  struct sigaction action{};
  // A blocked signal would be kept even where it is ignored.
  ignored_ = sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
}

InterruptSignal::~InterruptSignal() {
  if (Interrupted()) {
    const sigset_t signals = OnlyInterrupt();
    int received = 0;
    sigwait(&signals, &received);
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool InterruptSignal::Interrupted() {
  if (ignored_) return false;
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1;
}

void InterruptSignal::Wait(std::chrono::milliseconds time) {
  // A blocked signal does not end a sleep, so it is slept in short pieces.
  const auto until = std::chrono::steady_clock::now() + time;
  while (!Interrupted()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    poll(nullptr, 0, static_cast<int>(std::min(left, kLook).count()));
  }
}

}  // namespace cllm
