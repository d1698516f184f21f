// Whether a model file may be loaded into this process.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/stop_check.h"

namespace cllm {

struct ModelCheckOptions {
  // What runs RunLoadProbe in a process of its own; the model's path is appended.
  std::vector<std::string> probe_command;
  // File that remembers which models were good; empty = none.
  std::string verdicts_path;
  std::chrono::milliseconds probe_timeout{30'000};
  StopCheck stop{};  // ends the check
};

// Our own reader checks every count and offset, the metadata is checked, and then llama.cpp loads the file without its
// weights in a child process. Errors (kInvalidArgument) are one line that names the path and what is wrong with it.
// Milliseconds to some hundred of them; nothing for a file that has been found good before and is unchanged.
Status CheckModelFile(const std::string& path, const ModelCheckOptions& options);

}  // namespace cllm
