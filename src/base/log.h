// The process's log: spdlog to standard error or to a file, as text or as JSON. Code logs with spdlog::info(...) and
// friends, and what belongs to one event in several values with LogEvent.
//
// What comes from outside cannot forge a line: control characters and bytes that are not UTF-8 are escaped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <spdlog/spdlog.h>

#include "base/status.h"

namespace cllm {

struct LogOptions {
  std::string level = "info";   // trace | debug | info | warn | error | off
  std::string format = "text";  // text | json: one object a line
  std::string file;             // appended to instead of standard error; made with the rights 0640
  bool prompts = false;         // requests are logged with their bodies
};

// Standard output stays free for what a command prints. Fails where the file can't be written.
Status ConfigureLog(const LogOptions& options);

// Any thread: opens the file again under its name, after somebody has moved it away. Keeps the old one where that
// fails.
Status ReopenLog();

using LogValue = std::variant<std::string, std::int64_t, double>;
using LogFields = std::vector<std::pair<std::string_view, LogValue>>;

// One line of an event with values: `request id=… status=200`, or {"event":"request","id":"…","status":200}.
void LogEvent(spdlog::level::level_enum level, std::string_view event, const LogFields& fields);

// As Escaped (base/escape.h), and each backslash becomes two: programs can read the text back.
std::string EscapedForLog(std::string_view text);

}  // namespace cllm
