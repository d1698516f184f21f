// `cllm bench engine`: the speed of the engine alone, in process, without sampling, text or HTTP.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace cllm {

struct BenchEngineOptions {
  int prompt_tokens = 128;    // of each stream
  int generate_tokens = 128;  // of each stream
  std::vector<int> streams = {1, 2, 4, 8, 16, 32};
  int repetitions = 3;
  bool json = false;
};

// Prints a table as llama-bench does, or one JSON object for each number of streams, on standard output; progress on
// standard error where that is a terminal. Returns the exit code.
int BenchEngine(const ServeOptions& options, const BenchEngineOptions& bench);

}  // namespace cllm
