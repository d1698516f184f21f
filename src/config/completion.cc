#include "config/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace cllm {
namespace {

using Kind = TakenValue::Kind;

// The first sentence: what fits beside a word in a list of completions.
std::string Brief(std::string_view help) {
  const std::size_t end = help.find(". ");
  std::string text(help.substr(0, end));
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// One word of bash and zsh, whatever the text holds.
std::string SingleQuoted(const std::string& text) { return "'" + Replaced(text, "'", "'\\''") + "'"; }

// The tables that the commands are bound to, each once.
std::vector<const OptionTable*> Tables(const std::vector<const CommandInfo*>& commands) {
  std::vector<const OptionTable*> tables;
  for (const CommandInfo* command : commands) {
    if (command->table != nullptr && std::ranges::find(tables, command->table) == tables.end()) {
      tables.push_back(command->table);
    }
  }
  return tables;
}

std::size_t Number(const std::vector<const OptionTable*>& tables, const OptionTable* table) {
  return static_cast<std::size_t>(std::ranges::find(tables, table) - tables.begin());
}

std::string Words(const TakenValue& value) { return fmt::format("{}", fmt::join(value.words, " ")); }

std::string Spellings(const std::vector<FlagInfo>& flags) {
  std::vector<std::string> all;
  for (const FlagInfo& flag : flags) std::ranges::copy(flag.spellings, std::back_inserter(all));
  return fmt::format("{}", fmt::join(all, " "));
}

// The arms of a `case` over flags that take something.
std::string BashFlagArms(const std::vector<FlagInfo>& flags, std::string_view indent) {
  std::string out;
  for (const FlagInfo& flag : flags) {
    if (flag.value.kind == Kind::kNothing) continue;
    std::string takes = flag.value.kind == Kind::kFile ? "file" : flag.value.kind == Kind::kWords ? "words" : "text";
    if (!flag.value.words.empty()) takes += " words=" + SingleQuoted(Words(flag.value));
    out += fmt::format("{}{}) takes={} ;;\n", indent, fmt::join(flag.spellings, "|"), takes);
  }
  return out;
}

// The names of commands stand at the first place.
std::vector<PlaceInfo> PlacesOf(const CommandInfo& command) {
  if (command.commands.empty()) return command.places;
  PlaceInfo names{.name = "COMMAND", .value = {.kind = Kind::kWords}};
  for (const CommandInfo& sub : command.commands) names.value.words.push_back(sub.name);
  return {std::move(names)};
}

// The arms of a `case` over the number of places before the word.
std::string BashPlaceArms(const CommandInfo& command) {
  std::string out;
  const std::vector<PlaceInfo> places = PlacesOf(command);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const TakenValue& value = places[i].value;
    if (value.kind != Kind::kFile && value.kind != Kind::kWords) continue;
    out += fmt::format("        {}) place={} place_words={} ;;\n", places[i].repeated ? "*" : fmt::format("{}", i),
                       value.kind == Kind::kFile ? "file" : "words", SingleQuoted(Words(value)));
  }
  return out;
}

std::string BashCommandArm(const CommandInfo& command, const std::vector<const OptionTable*>& tables) {
  std::string out = fmt::format("    {})\n      flags={}", SingleQuoted(command.path), SingleQuoted(Spellings(command.flags)));
  if (command.table != nullptr) out += fmt::format("\" $_cllm_table_flags_{}\"", Number(tables, command.table));
  out += '\n';
  const std::string places = BashPlaceArms(command);
  if (!places.empty()) out += "      case $filled in\n" + places + "      esac\n";
  const std::string arms = BashFlagArms(command.flags, "        ");
  if (!arms.empty()) out += "      case $flag in\n" + arms + "      esac\n";
  if (command.table != nullptr) out += fmt::format("      _cllm_table_{}\n", Number(tables, command.table));
  return out + "      ;;\n";
}

constexpr std::string_view kBashBody = R"(  if [[ $only_places == no && $takes == '' && $cur == -* ]]; then
    takes=words words=$flags
  elif [[ $takes == '' ]]; then
    takes=$place words=$place_words
  fi
  case $takes in
    words) mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$words" -- "$cur") ;;
    file)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$words" -- "$cur"; compgen -P "$prefix" -f -- "$cur")
      ;;
  esac
}
complete -F _cllm cllm
)";

constexpr std::string_view kBashLook = R"(
# What $command has: its flags, what stands behind $filled places, and what $flag takes.
_cllm_look() {
  takes= words= flags= place= place_words=
  case $command in
)";

constexpr std::string_view kBashHead = R"(
_cllm() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag prefix= command=cllm filled=0 only_places=no
  local takes words flags place place_words word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $only_places == yes ]]; then
      ((++filled))
    elif [[ $word == -- ]]; then
      only_places=yes
    elif [[ $word == -?* ]]; then
      flag=$word
      _cllm_look
      [[ $takes == '' ]] || ((++i))
      [[ $takes == '' || ${COMP_WORDS[i]} != = ]] || ((++i))
    else
      case "$command $word" in
)";

constexpr std::string_view kBashSplit = R"(        *) ((++filled)) ;;
      esac
    fi
  done
  flag=${COMP_WORDS[COMP_CWORD - 1]}
  # "--flag=value" arrives as three words where "=" ends words, else as one.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $flag == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $cur == -*=* ]]; then
    flag=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}
  fi
  [[ $only_places == yes ]] && flag=
  _cllm_look
)";

}  // namespace

std::string RenderBashCompletion(const CommandInfo& root) {
  const std::vector<const CommandInfo*> commands = AllCommands(root);
  const std::vector<const OptionTable*> tables = Tables(commands);
  std::string out = "# bash completion for cllm, made by `cllm completion bash`.\n";
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::vector<FlagInfo> flags = FlagsOfTable(*tables[i]);
    out += fmt::format("\n_cllm_table_flags_{}={}\n", i, SingleQuoted(Spellings(flags)));
    out += fmt::format("\n_cllm_table_{}() {{\n  case $flag in\n{}  esac\n}}\n", i, BashFlagArms(flags, "    "));
  }
  out += kBashLook;
  for (const CommandInfo* command : commands) out += BashCommandArm(*command, tables);
  out += "  esac\n}\n";
  std::vector<std::string> paths;
  for (const CommandInfo* command : commands) {
    if (command != &root) paths.push_back(SingleQuoted(command->path));
  }
  return fmt::format("{}{}        {}) command+=\" $word\" filled=0 ;;\n{}{}", out, kBashHead, fmt::join(paths, "|"), kBashSplit, kBashBody);
}

namespace {

// Text inside the brackets or between the colons of a specification of _arguments.
std::string ZshEscaped(std::string text) {
  for (const std::string_view special : {"\\", "[", "]", ":"}) text = Replaced(text, special, "\\" + std::string(special));
  return text;
}

std::string ZshAction(const TakenValue& value) {
  switch (value.kind) {
    case Kind::kFile:
      return value.words.empty() ? "_files" : fmt::format("{{_files; compadd -- {}}}", Words(value));
    case Kind::kWords:
      return fmt::format("({})", Words(value));
    case Kind::kText:
    case Kind::kNothing:
      break;
  }
  return "";
}

// One specification for each spelling, which excludes the others.
std::string ZshFlags(const std::vector<FlagInfo>& flags) {
  std::string out;
  for (const FlagInfo& flag : flags) {
    for (const std::string& spelling : flag.spellings) {
      const bool takes = flag.value.kind != Kind::kNothing;
      const std::string equals = takes && spelling.starts_with("--") ? "=" : "";
      std::string spec = fmt::format("({}){}{}[{}]", fmt::join(flag.spellings, " "), spelling, equals, ZshEscaped(Brief(flag.help)));
      if (takes) spec += fmt::format(":{}:{}", ZshEscaped(flag.placeholder), ZshAction(flag.value));
      out += "    " + SingleQuoted(spec) + "\n";
    }
  }
  return out;
}

std::string FunctionName(const CommandInfo& command) { return "_" + Replaced(Replaced(command.path, " ", "_"), "-", "_"); }

std::string ZshFunction(const CommandInfo& command, const std::vector<const OptionTable*>& tables) {
  std::string out = fmt::format("\n{}() {{\n  local curcontext=$curcontext state line ret=1\n  typeset -A opt_args\n  local -a specs=(\n{}",
                                FunctionName(command), ZshFlags(command.flags));
  if (command.table != nullptr) out += fmt::format("    $_cllm_table_{}\n", Number(tables, command.table));
  for (std::size_t i = 0; i < command.places.size(); ++i) {
    const PlaceInfo& place = command.places[i];
    const std::string action = ZshAction(place.value);
    const std::string number = place.repeated ? "*" : fmt::format("{}", i + 1);
    out += fmt::format("    {}\n", SingleQuoted(fmt::format("{}:{}:{}", number, ZshEscaped(place.name), action)));
  }
  if (command.commands.empty()) return out + "  )\n  _arguments -S $specs\n}\n";
  out +=
      "    '1:command:->command'\n    '*::argument:->rest'\n  )\n  _arguments -C $specs && ret=0\n  case $state in\n    command)\n      "
      "local -a commands=(\n";
  for (const CommandInfo& sub : command.commands) {
    out += "        " + SingleQuoted(ZshEscaped(sub.name) + ":" + Brief(sub.help)) + "\n";
  }
  out += "      )\n      _describe command commands && ret=0\n      ;;\n    rest)\n      case $words[1] in\n";
  for (const CommandInfo& sub : command.commands) out += fmt::format("        {}) {} && ret=0 ;;\n", sub.name, FunctionName(sub));
  return out + "      esac\n      ;;\n  esac\n  return ret\n}\n";
}

}  // namespace

std::string RenderZshCompletion(const CommandInfo& root) {
  const std::vector<const CommandInfo*> commands = AllCommands(root);
  const std::vector<const OptionTable*> tables = Tables(commands);
  std::string out = "#compdef cllm\n# zsh completion for cllm, made by `cllm completion zsh`.\n";
  for (std::size_t i = 0; i < tables.size(); ++i) {
    out += fmt::format("\ntypeset -ga _cllm_table_{}=(\n{})\n", i, ZshFlags(FlagsOfTable(*tables[i])));
  }
  for (const CommandInfo* command : commands) out += ZshFunction(*command, tables);
  // Loaded by way of $fpath the file is the body of the function; sourced it has to announce it.
  return out + "\nif [[ ${funcstack[1]} == _cllm ]]; then\n  _cllm \"$@\"\nelse\n  compdef _cllm cllm\nfi\n";
}

namespace {

std::string FishQuoted(const std::string& text) { return "'" + Replaced(Replaced(text, "\\", "\\\\"), "'", "\\'") + "'"; }

// `where` is the condition: the commands at which the flag exists.
std::string FishFlags(const std::vector<FlagInfo>& flags, const std::string& where) {
  std::string out;
  for (const FlagInfo& flag : flags) {
    std::string line = fmt::format("complete -c cllm -n {}", FishQuoted(where));
    for (const std::string& spelling : flag.spellings) {
      if (spelling.starts_with("--")) {
        line += " -l " + spelling.substr(2);
      } else {
        line += (spelling.size() == 2 ? " -s " : " -o ") + spelling.substr(1);
      }
    }
    if (flag.value.kind == Kind::kFile) line += " -r -F";
    if (flag.value.kind == Kind::kText || flag.value.kind == Kind::kWords) line += " -x";
    if (!flag.value.words.empty()) line += " -a " + FishQuoted(Words(flag.value));
    out += line + " -d " + FishQuoted(Brief(flag.help)) + "\n";
  }
  return out;
}

std::string FishPlaces(const CommandInfo& command) {
  const auto condition = [&](std::string_view filled) { return FishQuoted(fmt::format("__cllm_behind {} \"{}\"", filled, command.path)); };
  std::string out;
  for (const CommandInfo& sub : command.commands) {
    out += fmt::format("complete -c cllm -n {} -a {} -d {}\n", condition("0"), sub.name, FishQuoted(Brief(sub.help)));
  }
  for (std::size_t i = 0; i < command.places.size(); ++i) {
    const PlaceInfo& place = command.places[i];
    const std::string where = condition(place.repeated ? "any" : fmt::format("{}", i));
    if (place.value.kind == Kind::kFile) out += fmt::format("complete -c cllm -n {} -F\n", where);
    if (!place.value.words.empty()) out += fmt::format("complete -c cllm -n {} -a {}\n", where, FishQuoted(Words(place.value)));
  }
  return out;
}

std::string FishValueFlags(const std::vector<FlagInfo>& flags) {
  std::string out;
  for (const FlagInfo& flag : flags) {
    if (flag.value.kind != Kind::kNothing) out += fmt::format(" {}", fmt::join(flag.spellings, " "));
  }
  return out;
}

// What fish does not tell a condition: which words are values of flags and which stand at a place.
std::string FishTakesValue(const std::vector<const CommandInfo*>& commands, const std::vector<const OptionTable*>& tables) {
  std::string out = "function __cllm_takes_value --argument-names path flag\n    set -l flags\n    switch $path\n";
  for (const CommandInfo* command : commands) {
    std::string flags = FishValueFlags(command->flags);
    if (command->table != nullptr) flags += fmt::format(" $__cllm_table_{}", Number(tables, command->table));
    if (!flags.empty()) out += fmt::format("        case {}\n            set flags{}\n", FishQuoted(command->path), flags);
  }
  return out + "    end\n    contains -- $flag $flags\nend\n";
}

constexpr std::string_view kFishState = R"(
function __cllm_state --description 'Prints the command of the line, and how many places are filled'
    set -l words (commandline -opc)
    set -l path cllm
    set -l filled 0
    set -l next any
    for word in $words[2..-1]
        if test $next = value
            set next any
        else if test $next = any -a "$word" = --
            set next place
        else if test $next = any; and string match -qr -- '^-.' $word
            __cllm_takes_value $path $word; and set next value
        else
            switch "$next $path $word"
)";

constexpr std::string_view kFishConditions = R"(                case '*'
                    set filled (math $filled + 1)
            end
        end
    end
    printf '%s\n' $path $filled
end

function __cllm_at --description 'Whether the line is at one of these commands'
    set -l state (__cllm_state)
    contains -- $state[1] $argv
end

function __cllm_behind --description 'Whether so many places of this command are filled' --argument-names filled path
    set -l state (__cllm_state)
    test $state[1] = $path; and contains -- $filled any $state[2]
end

complete -c cllm -f
)";

}  // namespace

std::string RenderFishCompletion(const CommandInfo& root) {
  const std::vector<const CommandInfo*> commands = AllCommands(root);
  const std::vector<const OptionTable*> tables = Tables(commands);
  std::string out = "# fish completion for cllm, made by `cllm completion fish`.\n\n";
  for (std::size_t i = 0; i < tables.size(); ++i) {
    out += fmt::format("set -g __cllm_table_{}{}\n\n", i, FishValueFlags(FlagsOfTable(*tables[i])));
  }
  out += FishTakesValue(commands, tables);
  std::vector<std::string> paths;
  for (const CommandInfo* command : commands) {
    if (command != &root) paths.push_back(FishQuoted("any " + command->path));
  }
  out += fmt::format("{}                case {}\n                    set path \"$path $word\"\n                    set filled 0\n{}",
                     kFishState, fmt::join(paths, " "), kFishConditions);
  for (const CommandInfo* command : commands) {
    const std::string where = fmt::format("__cllm_at \"{}\"", command->path);
    out += FishPlaces(*command) + FishFlags(command->flags, where);
  }
  for (const OptionTable* table : tables) {
    std::string where = "__cllm_at";
    for (const CommandInfo* command : commands) {
      if (command->table == table) where += fmt::format(" \"{}\"", command->path);
    }
    out += FishFlags(FlagsOfTable(*table), where);
  }
  return out;
}

}  // namespace cllm
