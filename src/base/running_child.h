// A program that runs beside this one.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"

namespace cllm {

class RunningChild {
 public:
  struct Options {
    std::vector<std::string> command{};  // the program (looked up in PATH where it has no slash), then its arguments
    // Files that are the child's 3, 4 and so on; it gets no others but standard output and error of this process.
    std::vector<int> descriptors{};
  };
  // The child has a process group of its own, so that a terminal's Ctrl-C is this process' alone, and no blocked or ignored signal.
  static Result<std::unique_ptr<RunningChild>> Start(const Options& options);
  // Ends it by force where it still runs.
  ~RunningChild();
  RunningChild(const RunningChild&) = delete;
  RunningChild& operator=(const RunningChild&) = delete;

  // Thread safe, all of them.
  int pid() const { return pid_; }
  bool has_ended() const;
  // How it ended, for a message; empty while it runs.
  std::string how_it_ended() const;
  void Signal(int number) const;
  // Whether it has ended by then.
  bool WaitUntil(std::chrono::steady_clock::time_point until) const;

 private:
  explicit RunningChild(int pid) : pid_(pid) {}
  bool Look() const;

  const int pid_;
  mutable std::mutex mutex_;
  mutable bool has_ended_ = false;  // and is reaped: the number may be somebody else's
  mutable std::string how_;
};

// In a child of RunningChild, early: it ends with its parent, whose pipe `parent` (a descriptor to read from) ends then, at the latest.
void EndWithParent(int parent);

}  // namespace cllm
