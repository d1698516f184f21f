// Ctrl-C as something to poll instead of something that ends the process.
#pragma once

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

#include "base/status.h"

namespace cllm {

class Interrupts {
 public:
  // Blocks SIGINT in this thread and in those that it starts from now on: to be made before any other thread. Where the
  // process ignores SIGINT, as shells have it for what runs in the background, none ever comes.
  static Result<std::unique_ptr<Interrupts>> Create();
  // The thread blocks what it did before; a SIGINT that nobody has taken is used up.
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Readable once SIGINT has come.
  int fd() const { return fd_; }
  // Whether it has come since the last call.
  bool Take();

  // Blocks until SIGINT has come (true, and taken) or the time is over.
  bool WaitFor(std::chrono::milliseconds time);

  // Blocks until `fd` is readable (true) or SIGINT has come (false, and taken). SIGINT goes first. A negative `fd` is
  // never readable.
  bool WaitReadable(int fd);

 private:
  Interrupts(int fd, const sigset_t& before) : fd_(fd), before_(before) {}

  int fd_;
  sigset_t before_;  // the signals that were blocked
};

// The exit code of a program that Ctrl-C has ended, as shells have it.
inline constexpr int kInterruptedExitCode = 128 + SIGINT;

// While it lives, SIGINT ends the process at once: for work that cannot be stopped, such as loading a model.
class EndOnInterrupt {
 public:
  static Result<std::unique_ptr<EndOnInterrupt>> Create(Interrupts& interrupts);
  ~EndOnInterrupt();
  EndOnInterrupt(const EndOnInterrupt&) = delete;
  EndOnInterrupt& operator=(const EndOnInterrupt&) = delete;

 private:
  EndOnInterrupt(Interrupts& interrupts, int wake_fd);

  int wake_fd_;
  std::thread thread_;
};

}  // namespace cllm
