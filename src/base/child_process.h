// Runs a program and waits for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace cllm {

struct ChildOptions {
  std::vector<std::string> command{};      // the program's path, then its arguments
  std::vector<std::string> environment{};  // "NAME=value", beside what this process has
  std::chrono::milliseconds timeout{60'000};
  std::size_t most_output_bytes = 64 << 10;  // of standard output and error together; the end is kept
};

struct ChildResult {
  int exit_code = -1;  // where the program ended by itself
  int signal = 0;      // that ended it otherwise
  bool timed_out = false;
  std::string output;
};

// The child gets an empty standard input, no other open file, no blocked or ignored signal. One that outlives the
// timeout is killed. Fails (kInternal) where the program cannot be started.
Result<ChildResult> RunChild(const ChildOptions& options);

}  // namespace cllm
