// Runs a program and waits for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cllm {

struct ChildOptions {
  std::vector<std::string> command{};      // the program (looked up in PATH where it has no slash), then its arguments
  std::vector<std::string> environment{};  // "NAME=value", beside what this process has
  std::optional<std::chrono::milliseconds> timeout = std::chrono::milliseconds(60'000);  // none: on_tick says when it is enough
  std::size_t most_output_bytes = 64 << 10;                                              // the end of what it writes is kept
  int input = -1;                                                                        // a file that the child gets as standard input
  // Gets standard output, which is not kept then; an error ends the child.
  std::function<Status(std::string_view)> on_output{};
  // Called some ten times a second; an error ends the child.
  std::function<Status()> on_tick{};
};

struct ChildResult {
  int exit_code = -1;  // where the program ended by itself
  int signal = 0;      // that ended it otherwise
  bool timed_out = false;
  std::string output;  // standard output and error together, or standard error alone
};

// The child gets a standard input that is empty or `input`, no other open file, no blocked or ignored signal. One that outlives the
// timeout is killed. Fails with the error of a callback (the child is killed then), with kNotFound where there is no such
// program, and with kInternal where it cannot be started otherwise.
Result<ChildResult> RunChild(const ChildOptions& options);

}  // namespace cllm
