#include "config/command_tree.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>
#include <utility>

namespace cllm {
namespace {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool NamesFile(std::string_view word) { return word == "FILE" || word == "PATH" || word == "PATH(existing)"; }
bool NamesModel(std::string_view word) { return word == "MODEL"; }

// CLI11 keeps what a value may be only in the text that it shows for the type: "TEXT:{bash,zsh,fish}", "TEXT:FILE".
TakenValue ValueOf(const CLI::Option& option, std::string_view place, const std::vector<std::string>& model_names) {
  if (option.get_items_expected_max() == 0) return {};
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open == std::string::npos ? 0 : open);
  if (open != std::string::npos && close != std::string::npos) {
    return {TakenValue::Kind::kWords, Split(std::string_view(type).substr(open + 1, close - open - 1), ',')};
  }
  std::vector<std::string> names = Split(type, ':');
  names.emplace_back(place);
  if (std::ranges::any_of(names, NamesModel)) return {TakenValue::Kind::kFile, model_names};
  if (std::ranges::any_of(names, NamesFile)) return {TakenValue::Kind::kFile};
  return {TakenValue::Kind::kText};
}

std::string PlaceholderOf(const CLI::Option& option, const TakenValue& value) {
  switch (value.kind) {
    case TakenValue::Kind::kNothing:
      return "";
    case TakenValue::Kind::kFile:
      return value.words.empty() ? "FILE" : "MODEL";
    case TakenValue::Kind::kWords: {
      std::string words;
      for (const std::string& word : value.words) words += (words.empty() ? "" : "|") + word;
      return words;
    }
    case TakenValue::Kind::kText:
      break;
  }
  const std::string type = Split(option.get_type_name(), ':').front();
  return type.empty() ? "TEXT" : type.substr(0, type.find(' '));
}

TakenValue ValueOf(const ConfigOption& option) {
  std::vector<std::string> words = option.choices;
  for (const NamedValue& named : option.value_names) words.push_back(named.first);
  if (!words.empty()) return {TakenValue::Kind::kWords, std::move(words)};
  if (option.type == OptionType::kBool) return {};
  return {NamesFile(option.placeholder) ? TakenValue::Kind::kFile : TakenValue::Kind::kText};
}

void DescribeOption(const CLI::Option& option, const std::vector<std::string>& model_names, CommandInfo& command) {
  if (!option.nonpositional()) {
    const std::string name = option.get_name(true);
    command.places.push_back({.name = name,
                              .help = option.get_description(),
                              .required = option.get_required(),
                              .repeated = option.get_items_expected_max() > 1,
                              .value = ValueOf(option, name, model_names)});
    return;
  }
  if (option.get_group().empty()) return;
  FlagInfo flag{.help = option.get_description(), .value = ValueOf(option, "", model_names)};
  for (const std::string& name : option.get_snames()) flag.spellings.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) flag.spellings.push_back("--" + name);
  flag.placeholder = PlaceholderOf(option, flag.value);
  command.flags.push_back(std::move(flag));
}

CommandInfo Describe(const CLI::App& app, const CommandLine& line, const std::vector<std::string>& model_names, const std::string& parent) {
  CommandInfo command{.path = parent + app.get_name(), .name = app.get_name(), .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) DescribeOption(*option, model_names, command);
  command.table = line.TableOf(app);
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (!sub->get_group().empty()) command.commands.push_back(Describe(*sub, line, model_names, command.path + " "));
  }
  return command;
}

void Collect(const CommandInfo& command, std::vector<const CommandInfo*>& all) {
  all.push_back(&command);
  for (const CommandInfo& sub : command.commands) Collect(sub, all);
}

}  // namespace

CommandInfo DescribeCommands(const CLI::App& root, const CommandLine& line, const std::vector<std::string>& model_names) {
  return Describe(root, line, model_names, "");
}

std::vector<FlagInfo> FlagsOfTable(const OptionTable& table) {
  std::vector<FlagInfo> flags;
  for (const ConfigOption& option : table.options()) {
    flags.push_back({.spellings = option.flags, .help = option.help, .placeholder = option.placeholder, .value = ValueOf(option)});
    if (option.type == OptionType::kBool) {
      flags.push_back({.spellings = option.NegativeFlags(), .help = "The opposite of " + option.flags.back() + "."});
    }
  }
  return flags;
}

std::vector<const CommandInfo*> AllCommands(const CommandInfo& root) {
  std::vector<const CommandInfo*> all;
  Collect(root, all);
  return all;
}

}  // namespace cllm
