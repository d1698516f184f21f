// The commands of a chat: lines that begin with a slash.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

struct ChatCommand {
  enum class Kind { kHelp, kClear, kSystem, kSet, kSave, kLoad, kBye };
  struct Known {
    Kind kind;
    std::string_view name;      // "/save"
    std::string_view argument;  // "FILE"; empty where it takes none
    std::string_view help;
    bool needs_argument = false;
  };
  // In the order in which /help shows them.
  static std::span<const Known> All();

  Kind kind = Kind::kHelp;
  std::string argument;  // without blanks around it
};

// `line` begins with a slash. The error for an unknown command names the nearest one.
Result<ChatCommand> ParseChatCommand(std::string_view line);

// `text` without blanks, tabs and line ends around it.
std::string_view Trimmed(std::string_view text);

// The first word of `text` and what follows it, both trimmed.
std::pair<std::string_view, std::string_view> SplitFirstWord(std::string_view text);

}  // namespace cllm
