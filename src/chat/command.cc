#include "chat/command.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/nearest_word.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
using Kind = ChatCommand::Kind;

constexpr std::array<ChatCommand::Known, 7> kAllCommands = {{
    {Kind::kHelp, "/help", "", "Show this."},
    {Kind::kClear, "/clear", "", "Forget the conversation; the system text stays."},
    {Kind::kSystem, "/system", "[TEXT]", "Set the text that tells the model how to answer; \"\" takes it away, no TEXT shows it."},
    {Kind::kSet, "/set", "[KEY VALUE]", "Set how answers are made, \"default\" takes it back; without arguments: show all."},
    {Kind::kSave, "/save", "FILE", "Write the conversation to a file.", true},
    {Kind::kLoad, "/load", "FILE", "Go on with a conversation from a file.", true},
    {Kind::kBye, "/bye", "", "End; so does Ctrl-D."},
}};

// Other programs' names for the same thing.
std::string_view Canonical(std::string_view name) {
  if (name == "/?") return "/help";
  if (name == "/exit" || name == "/quit") return "/bye";
  return name;
}

std::unexpected<Error> UnknownCommand(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ChatCommand::Known& known : kAllCommands) names.push_back(known.name);
  return InvalidArgument(
      fmt::format("there is no command {}; the nearest is {} (put text that begins with a slash between \"\"\" and \"\"\")",
                  Shortened(name), *NearestWord(name, names)));
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::pair<std::string_view, std::string_view> SplitFirstWord(std::string_view text) {
  text = Trimmed(text);
  const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
  return {text.substr(0, end), Trimmed(text.substr(end))};
}

std::span<const ChatCommand::Known> ChatCommand::All() { return kAllCommands; }

Result<ChatCommand> ParseChatCommand(std::string_view line) {
  const auto [name, argument] = SplitFirstWord(line);
  const auto found = std::ranges::find(kAllCommands, Canonical(name), &ChatCommand::Known::name);
  if (found == kAllCommands.end()) return UnknownCommand(name);
  if (found->argument.empty() && !argument.empty()) {
    return InvalidArgument(fmt::format("{} takes no argument", found->name));
  }
  if (found->needs_argument && argument.empty()) {
    return InvalidArgument(fmt::format("{} needs an argument: {} {}", found->name, found->name, found->argument));
  }
  return ChatCommand{.kind = found->kind, .argument = std::string(argument)};
}

}  // namespace cllm
