// A program that is run to its end, its output read meanwhile.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "hub/patience.h"

namespace cllm {

struct ChildCommand {
  std::vector<std::string> arguments;  // the program first; it is looked up in PATH
  std::filesystem::path temporary;     // its TMPDIR; empty: as ours
};

struct ChildOutcome {
  int exit_code = 0;       // 128 + signal where one ended it
  std::string last_error;  // the last line that is no blank on its standard error
};

// `on_output` gets its standard output, and an error of it ends the child; `on_tick` is called a few times a second.
// kNotFound where there is no such program, kCancelled where the user interrupts (the child is ended then).
Result<ChildOutcome> RunChild(const ChildCommand& command, Patience& patience, const std::function<Status(std::string_view)>& on_output,
                              const std::function<void()>& on_tick);

}  // namespace cllm
