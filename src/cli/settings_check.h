// Settings that are right one by one and wrong together, or wrong on this machine.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace cllm {

struct SettingFinding {
  bool is_error = false;  // `cllm serve` refuses it; otherwise it serves, but not as the settings say
  ValueSource source;     // of the setting to blame
  std::string key;
  std::string message;  // without place and key
};

// What is found about settings that a file or the command line gave; defaults are never to blame. `cores` are the
// processors that this process may use.
std::vector<SettingFinding> CheckSettings(const ServeOptions& options, const OptionTable& table, int cores);

}  // namespace cllm
