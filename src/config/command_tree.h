// The commands of a program as data: what completion scripts and the manual page are made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/command_line.h"
#include "config/option_table.h"

namespace CLI {
class App;
}

namespace cllm {

// What a flag or a place on the line takes.
struct TakenValue {
  enum class Kind : std::uint8_t { kNothing, kText, kWords, kFile };
  Kind kind = Kind::kNothing;
  // Of kWords all that are right, or such as "auto" beside numbers; of kFile what may stand instead of a file.
  std::vector<std::string> words = {};
};

struct FlagInfo {
  std::vector<std::string> spellings = {};  // with their dashes
  std::string help = {};
  std::string placeholder = {};  // stands for the value; empty for a flag without one
  TakenValue value = {};
};

struct PlaceInfo {
  std::string name = {};  // "MODEL"
  std::string help = {};
  bool required = false;
  bool repeated = false;  // takes every word that is left
  TakenValue value = {};
};

struct CommandInfo {
  std::string path = {};  // "cllm bench engine"
  std::string name = {};  // "engine"
  std::string help = {};
  std::vector<FlagInfo> flags = {};  // its own, without those of the table
  std::vector<PlaceInfo> places = {};
  const OptionTable* table = nullptr;  // that is bound to it, or none
  std::vector<CommandInfo> commands = {};
};

// The tree below and with `root`; hidden commands and flags (those of the group "") are left out. A place or flag whose
// type or name is FILE takes a file, and MODEL a file or one of `model_names`; one that is checked by CLI::IsMember takes its
// words.
CommandInfo DescribeCommands(const CLI::App& root, const CommandLine& line, const std::vector<std::string>& model_names);

// A table's options as flags; the flags that turn a boolean off stand as flags of their own.
std::vector<FlagInfo> FlagsOfTable(const OptionTable& table);

// Every command of the tree, `root` first, each before those below it.
std::vector<const CommandInfo*> AllCommands(const CommandInfo& root);

}  // namespace cllm
