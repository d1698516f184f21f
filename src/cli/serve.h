// `cllm serve`: loads a model and serves it until a signal ends the process.
#pragma once

#include <string>

#include "cli/options.h"

namespace cllm {

// Returns the exit code.
int Serve(const ServeOptions& options, const std::string& version);

}  // namespace cllm
