#include "config/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/nearest_word.h"
#include "config/render.h"
#include "config/text.h"

namespace cllm {
namespace {

// "--port=80" without "=80".
std::string_view FlagName(std::string_view argument) { return argument.substr(0, argument.find('=')); }

// A lone "-" commonly stands for standard input, so it is no flag.
bool LooksLikeFlag(std::string_view argument) { return argument.size() > 1 && argument.starts_with('-'); }

const CLI::App* FindSubcommand(const CLI::App& command, const std::string& name) {
  const auto named = command.get_subcommands([&](const CLI::App* sub) { return sub->check_name(name); });
  return named.empty() ? nullptr : named.front();
}

// Whether the command does nothing itself and has others for that.
bool IsGroup(const CLI::App& command) { return command.get_require_subcommand_min() > 0; }

// Whether the line names a group and nothing more.
bool EndsInAGroup(const CLI::App& root, const std::vector<std::string>& arguments) {
  const CLI::App* command = &root;
  for (const std::string& argument : arguments) {
    command = FindSubcommand(*command, argument);
    if (command == nullptr) return false;
  }
  return IsGroup(*command);
}

std::unexpected<Error> UnknownCommand(const CLI::App& group, std::string_view name) {
  std::vector<std::string_view> known;
  for (const CLI::App* command : group.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); })) {
    known.push_back(command->get_name());
  }
  std::string message = "unknown command " + config::QuotedForMessage(name);
  if (const auto nearest = NearestWord(name, known)) message += fmt::format("; the nearest known command is {}", *nearest);
  return InvalidArgument(std::move(message));
}

std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_snames()) flags.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::vector<std::string> FlagsOf(const OptionTable& table) {
  std::vector<std::string> flags;
  for (const ConfigOption& option : table.options()) {
    std::ranges::copy(option.flags, std::back_inserter(flags));
    std::ranges::copy(option.NegativeFlags(), std::back_inserter(flags));
  }
  return flags;
}

std::string_view WithoutDashes(std::string_view flag) { return flag.substr(std::min(flag.find_first_not_of('-'), flag.size())); }

}  // namespace

void CommandLine::Bind(CLI::App& command, OptionTable& table) {
  for (const std::string& flag : FlagsOf(command)) {
    if (table.FindFlag(flag).option == nullptr) continue;
    std::fprintf(stderr, "command line: flag %s belongs to the command and to its option table\n", flag.c_str());
    std::abort();
  }
  bindings_.push_back({&command, &table});
  command.footer([&table] { return RenderHelp(table); });
}

Result<std::optional<std::string>> CommandLine::Parse(const std::vector<std::string>& arguments) {
  given_.clear();
  Result<std::vector<std::string>> rest = TakeTableFlags(arguments);
  if (!rest) return std::unexpected(rest.error());
  if (EndsInAGroup(root_, *rest)) rest->emplace_back("--help");
  std::ranges::reverse(*rest);  // CLI11 takes arguments from the back
  try {
    root_.parse(std::move(*rest));
  } catch (const CLI::Error& error) {
    if (error.get_exit_code() != 0) return InvalidArgument(error.what());
    std::ostringstream out;
    std::ostringstream unused;
    root_.exit(error, out, unused);
    std::string text = out.str();
    text.erase(text.find_last_not_of('\n') + 1);  // CLI11 ends it with several
    return text + "\n";
  }
  return std::nullopt;
}

Status CommandLine::Apply() {
  for (const Given& given : given_) {
    if (Status status = given.table->Set(given.key, given.text, ValueSource::CommandLine(given.flag)); !status) {
      return status;
    }
  }
  return {};
}

// Walks the line as CLI11 will, entering subcommands as they come, and returns what is left for CLI11.
Result<std::vector<std::string>> CommandLine::TakeTableFlags(const std::vector<std::string>& arguments) {
  std::vector<std::string> rest;
  const CLI::App* command = &root_;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--") {
      rest.insert(rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(at), arguments.end());
      break;
    }
    if (!LooksLikeFlag(argument)) {
      const CLI::App* sub = FindSubcommand(*command, argument);
      if (sub == nullptr && IsGroup(*command)) return UnknownCommand(*command, argument);
      if (sub != nullptr) command = sub;
      rest.push_back(argument);
      continue;
    }
    const std::string name(FlagName(argument));
    OptionTable* table = TableOf(*command);
    const OptionTable::FlagMatch match = table != nullptr ? table->FindFlag(name) : OptionTable::FlagMatch();
    if (match.option != nullptr) {
      if (Status status = TakeTableFlag(*command, *table, match, arguments, at); !status) {
        return std::unexpected(status.error());
      }
      continue;
    }
    const CLI::Option* option = command->get_option_no_throw(name);
    if (option == nullptr) return UnknownFlag(*command, name);
    rest.push_back(argument);
    const int values = argument == name ? option->get_items_expected_min() : 0;
    for (int i = 0; i < values && at + 1 < arguments.size(); ++i) rest.push_back(arguments[++at]);
  }
  return rest;
}

// Remembers the flag at `at` and its value; `at` moves on to the value where that is an argument of its own.
Status CommandLine::TakeTableFlag(const CLI::App& command, OptionTable& table, OptionTable::FlagMatch match,
                                  const std::vector<std::string>& arguments, std::size_t& at) {
  const std::string& argument = arguments[at];
  const ConfigOption& option = *match.option;
  Given given{&table, option.key, "", std::string(FlagName(argument))};
  const bool has_value = given.flag.size() < argument.size();
  if (match.negative && has_value) {
    return InvalidArgument(fmt::format("{} takes no value", given.flag), option.key);
  }
  if (has_value) {
    given.text = argument.substr(given.flag.size() + 1);
  } else if (option.type == OptionType::kBool) {
    given.text = match.negative ? "false" : "true";
  } else if (at + 1 == arguments.size() || arguments[at + 1] == "--" || IsKnownFlag(command, FlagName(arguments[at + 1]))) {
    return table.WrongValue(option, "no value", ValueSource::CommandLine(given.flag));
  } else {
    given.text = arguments[++at];
  }
  given_.push_back(std::move(given));
  return {};
}

OptionTable* CommandLine::TableOf(const CLI::App& command) const {
  const auto found = std::ranges::find(bindings_, &command, &Binding::command);
  return found == bindings_.end() ? nullptr : found->table;
}

bool CommandLine::IsKnownFlag(const CLI::App& command, std::string_view flag) const {
  if (!LooksLikeFlag(flag)) return false;
  const OptionTable* table = TableOf(command);
  if (table != nullptr && table->FindFlag(flag).option != nullptr) return true;
  return command.get_option_no_throw(std::string(flag)) != nullptr;
}

std::unexpected<Error> CommandLine::UnknownFlag(const CLI::App& command, std::string_view flag) const {
  std::vector<std::string> known;
  if (const OptionTable* table = TableOf(command)) known = FlagsOf(*table);
  std::ranges::copy(FlagsOf(command), std::back_inserter(known));
  std::string message = "unknown flag " + config::QuotedForMessage(flag);
  const auto distance = [&](std::string_view one) { return EditDistance(WithoutDashes(flag), WithoutDashes(one)); };
  const auto nearest = NearestWord(std::vector<std::string_view>(known.begin(), known.end()), distance);
  if (nearest) message += fmt::format("; the nearest known flag is {}", *nearest);
  return InvalidArgument(std::move(message));
}

}  // namespace cllm
