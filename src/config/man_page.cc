#include "config/man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace cllm {
namespace {

// Text that roff shows as it is: no escapes, no requests at the start of a line, "-" as a character that can be copied.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\(rs";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '"') {
      out += "\\(dq";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

std::string Bold(std::string_view text) { return "\\fB" + Roff(text) + "\\fR"; }
std::string Italic(std::string_view text) { return "\\fI" + Roff(text) + "\\fR"; }

std::string BoldList(const std::vector<std::string>& spellings) {
  std::vector<std::string> bold;
  for (const std::string& spelling : spellings) bold.push_back(Bold(spelling));
  return fmt::format("{}", fmt::join(bold, ", "));
}

std::string Entry(const std::string& head, const std::string& text) { return ".TP\n" + head + "\n" + text + "\n"; }

std::string Flag(const FlagInfo& flag) {
  std::string head = BoldList(flag.spellings);
  if (!flag.placeholder.empty()) head += " " + Italic(flag.placeholder);
  return Entry(head, Roff(flag.help));
}

// "[options] MODEL [PROMPT]" or "COMMAND".
std::string Usage(const CommandInfo& command) {
  std::string usage = Bold(command.path);
  if (!command.commands.empty()) return usage + " " + Italic("COMMAND");
  if (!command.flags.empty() || command.table != nullptr) usage += " [" + Italic("OPTION") + "]...";
  for (const PlaceInfo& place : command.places) {
    usage += place.required ? " " + Italic(place.name) : " [" + Italic(place.name) + "]";
    if (place.repeated) usage += "...";
  }
  return usage;
}

std::string CommandEntry(const CommandInfo& command) {
  std::string out = fmt::format(".SS {}\n{}\n", Usage(command), Roff(command.help));
  for (const PlaceInfo& place : command.places) out += Entry(Italic(place.name), Roff(place.help));
  for (const FlagInfo& flag : command.flags) {
    if (std::ranges::find(flag.spellings, "--help") == flag.spellings.end()) out += Flag(flag);
  }
  if (command.table != nullptr) out += ".PP\nIt takes the settings below as well.\n";
  return out;
}

std::string Setting(const ConfigOption& option) {
  std::vector<std::string> spellings = option.flags;
  std::ranges::copy(option.NegativeFlags(), std::back_inserter(spellings));
  std::string head = BoldList(spellings);
  if (!option.placeholder.empty()) head += " " + Italic(option.placeholder);
  return Entry(head, fmt::format("{}\n{}: {}; default: {}.", Roff(option.help), Bold(option.key), Roff(option.Expectation()),
                                 Roff(option.default_text)));
}

std::string Settings(const OptionTable& table) {
  std::string out =
      ".SH SETTINGS\n"
      "The command line beats the environment, which beats the configuration file, which beats the default. In the file a key is a path "
      "through nested\n"
      "maps. On the command line a value is the next argument or follows \\(lq=\\(rq; booleans take none. Of a flag given\n"
      "twice the last one counts.\n";
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    std::string entries;
    for (const ConfigOption& option : table.options()) {
      if (option.section == section) entries += Setting(option);
    }
    if (!entries.empty()) out += fmt::format(".SS {}\n{}", Roff(table.sections()[section].title), entries);
  }
  return out;
}

// What the table does not know; it ends with the lines that every page has.
std::string Rest() {
  std::string out = ".SH FILES\n";
  out += Entry(Italic("config.yaml") + ", " + Italic("config/config.yaml"),
               "The configuration, in the working folder, where neither \\-\\-config nor CLLM_CONFIG names one.");
  out += Entry(Italic("$XDG_CACHE_HOME/cllm/models") + ", " + Italic("~/.cache/cllm/models"), "Models.");
  out += ".SH ENVIRONMENT\n";
  out += Entry(Bold("CLLM_CONFIG"), "The configuration file where \\-\\-config names none.");
  out += Entry(Bold("CLLM_API_KEY"), "Keys that clients of the server must know; the key that \\fBcllm run\\fR sends.");
  out += Entry(Bold("HF_ENDPOINT") + ", " + Bold("HF_TOKEN"), "A mirror of Hugging Face, and your token for it.");
  out += Entry(Bold("NO_COLOR"), "Where it is set and not empty, there are no colours.");
  out += Entry(Bold("XDG_CACHE_HOME"), "Where caches are; \\(lq~/.cache\\(rq otherwise.");
  out += ".SH EXIT STATUS\n";
  out += Entry(Bold("0"), "All went well; a server that a signal ended is such a case.");
  out += Entry(Bold("130"), "Ctrl\\-C ended a pull or \\fBcllm run\\fR.");
  out += Entry(Bold("1"), "It did not: wrong usage, wrong settings, or a failure. One line for each reason is on standard error.");
  out +=
      ".SH EXAMPLES\n"
      ".nf\n"
      "cllm config init\n"
      "cllm config check config.yaml\n"
      "cllm serve model.gguf \\-\\-port 8080\n"
      "cllm bench engine model.gguf \\-\\-streams 1,4,16\n"
      ".fi\n";
  return out;
}

}  // namespace

std::string RenderManPage(const CommandInfo& root, const std::string& version, const std::string& about) {
  const std::vector<const CommandInfo*> commands = AllCommands(root);
  std::string out = fmt::format(".TH CLLM 1 \"\" \"cllm {}\" \"User Commands\"\n.nh\n.ad l\n", Roff(version));
  out += fmt::format(".SH NAME\ncllm \\- {}\n.SH SYNOPSIS\n", Roff(about));
  for (const CommandInfo* command : commands) {
    if (command->commands.empty()) out += ".nf\n" + Usage(*command) + "\n.fi\n";
  }
  out += fmt::format(".SH DESCRIPTION\n{}\n.SH COMMANDS\n", Roff(root.help));
  const OptionTable* table = nullptr;
  for (const CommandInfo* command : commands) {
    if (command->commands.empty()) out += CommandEntry(*command);
    if (command->table != nullptr) table = command->table;
  }
  if (table != nullptr) out += Settings(*table);
  return out + Rest();
}

}  // namespace cllm
