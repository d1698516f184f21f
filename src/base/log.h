// The process's log: spdlog to standard error. Code logs with spdlog::info(...) and friends.
#pragma once

#include <string>

#include <spdlog/spdlog.h>

#include "base/status.h"

namespace cllm {

struct LogOptions {
  std::string level = "info";  // trace | debug | info | warn | error | off
};

// Standard output stays free for what a command prints.
void ConfigureLog(const LogOptions& options);

}  // namespace cllm
