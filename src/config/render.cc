#include "config/render.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>
#include <string_view>
#include <vector>

#include "config/text.h"

namespace cllm {
namespace {

constexpr std::size_t kLineWidth = 100;

std::string Indent(std::string_view path) { return std::string(2 * std::ranges::count(path, '.'), ' '); }

// The options of section number `section`, in the order of their declaration.
auto OptionsOf(const OptionTable& table, std::size_t section) {
  return table.options() | std::views::filter([section](const ConfigOption& o) { return o.section == section; });
}

bool HasOptions(const OptionTable& table, std::size_t section) {
  return std::ranges::any_of(table.options(), [&](const ConfigOption& o) { return o.section == section; });
}

// "--use-mmap" and "--no-use-mmap" for booleans; the other flags as they are.
std::vector<std::string> AllFlags(const ConfigOption& option) {
  std::vector<std::string> flags = option.flags;
  std::ranges::copy(option.NegativeFlags(), std::back_inserter(flags));
  return flags;
}

std::string CommentLines(const std::string& indent, std::string_view text) {
  std::string out;
  for (const std::string& line : config::Wrap(text, kLineWidth - indent.size() - 2)) {
    out += fmt::format("{}# {}\n", indent, line);
  }
  return out;
}

// A cell of a Markdown table: one line, with nothing that ends the cell or starts markup.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("|\\`*<[").contains(c)) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string Code(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; (at = out.find('|', at)) != std::string::npos; at += 2) out.insert(at, 1, '\\');
  return "`" + out + "`";
}

std::string ExpectationCell(const ConfigOption& option) {
  if (option.type != OptionType::kEnum) return Cell(option.Expectation());
  std::vector<std::string> choices;
  for (const std::string& choice : option.choices) choices.push_back(Code(choice));
  return fmt::format("{}", fmt::join(choices, ", "));
}

// One option of --help: flags on the left, meaning, values and default on the right.
std::string HelpEntry(const ConfigOption& option) {
  constexpr std::size_t kTextColumn = 30;
  std::string left = fmt::format("  {}", fmt::join(AllFlags(option), ", "));
  if (!option.placeholder.empty()) left += " " + option.placeholder;
  std::string out;
  if (left.size() + 2 > kTextColumn) {
    out = left + "\n";
    left.clear();
  }
  // A boolean's two flags say what it takes.
  const std::string takes = option.type == OptionType::kBool ? "" : option.Expectation() + "; ";
  const std::string values = fmt::format("({}default: {})", takes, option.default_text);
  for (const std::string& text : {option.help, values}) {
    for (const std::string& line : config::Wrap(text, kLineWidth - kTextColumn)) {
      out += fmt::format("{:<{}}{}\n", left, kTextColumn, line);
      left.clear();
    }
  }
  return out;
}

}  // namespace

std::string RenderHelp(const OptionTable& table) {
  std::string out =
      "A flag's value is the next argument or follows \"=\". Booleans take no next argument:\n"
      "--x turns x on, --no-x off. Of a flag given twice the last one counts.\n";
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    if (!HasOptions(table, section)) continue;
    out += fmt::format("\n{} ({}):\n", table.sections()[section].title, table.sections()[section].path);
    for (const ConfigOption& option : OptionsOf(table, section)) out += HelpEntry(option);
  }
  return out;
}

std::string RenderMarkdown(const OptionTable& table) {
  std::string out =
      "# Configuration\n\n"
      "Made from the program's own table of options; a change here is lost.\n\n"
      "The command line beats the environment (`CLLM_API_KEY` alone), which beats the configuration file, which beats the\n"
      "default. The file is the one of `--config`, else of the environment's `CLLM_CONFIG`, else `config.yaml` or\n"
      "`config/config.yaml` in the working folder. In the file a key is a path through\n"
      "nested maps: `server.port` is `port` inside `server`. Text that looks like a number or a boolean needs quotes\n"
      "there, and numbers must have none. On the command line a value is the next argument or follows `=`; booleans\n"
      "take no next argument: `--x` turns x on, `--no-x` off. Of a flag given twice the last one counts.\n";
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    if (!HasOptions(table, section)) continue;
    out += fmt::format("\n## {} (`{}`)\n\n", Cell(table.sections()[section].title), table.sections()[section].path);
    out += "| key | flags | value | default | meaning |\n|---|---|---|---|---|\n";
    for (const ConfigOption& option : OptionsOf(table, section)) {
      std::vector<std::string> flags;
      for (const std::string& flag : AllFlags(option)) flags.push_back(Code(flag));
      out += fmt::format("| {} | {} | {} | {} | {} |\n", Code(option.key), fmt::join(flags, ", "), ExpectationCell(option),
                         Code(option.default_text), Cell(option.help));
    }
  }
  return out;
}

std::string RenderExampleYaml(const OptionTable& table) {
  std::string out = "# Every key with its default. A key that is left out keeps its default.\n";
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    const OptionSection& info = table.sections()[section];
    out += fmt::format("\n{}{}{}:\n", CommentLines(Indent(info.path), info.title), Indent(info.path), config::LastSegment(info.path));
    for (const ConfigOption& option : OptionsOf(table, section)) {
      const std::string indent = Indent(option.key);
      out += CommentLines(indent, option.help);
      out += CommentLines(indent, fmt::format("({}; {})", option.Expectation(), fmt::join(option.flags, " ")));
      out += fmt::format("{}{}: {}\n", indent, config::LastSegment(option.key), option.default_text);
    }
  }
  return out;
}

std::string RenderStarterYaml(const OptionTable& table, std::string_view head, std::span<const ChosenValue> chosen) {
  std::string out = CommentLines("", head);
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    const OptionSection& info = table.sections()[section];
    out += fmt::format("\n{}{}{}:\n", CommentLines(Indent(info.path), info.title), Indent(info.path), config::LastSegment(info.path));
    for (const ConfigOption& option : OptionsOf(table, section)) {
      const std::string indent = Indent(option.key);
      out += CommentLines(indent, fmt::format("{} ({})", option.help, option.Expectation()));
      const auto choice = std::ranges::find(chosen, option.key, &ChosenValue::key);
      if (choice == chosen.end()) {
        out += fmt::format("{}#{}: {}\n", indent, config::LastSegment(option.key), option.default_text);
      } else {
        out += CommentLines(indent, "Chosen: " + choice->why);
        out += fmt::format("{}{}: {}\n", indent, config::LastSegment(option.key), choice->text);
      }
    }
  }
  return out;
}

std::string RenderPrintConfig(const OptionTable& table) {
  std::string out;
  for (std::size_t section = 0; section < table.sections().size(); ++section) {
    const std::string& path = table.sections()[section].path;
    out += fmt::format("{}{}:\n", Indent(path), config::LastSegment(path));
    std::size_t widest = 0;
    for (const ConfigOption& option : OptionsOf(table, section)) {
      widest = std::max(widest, config::LastSegment(option.key).size() + 2 + option.ValueText().size());
    }
    for (const ConfigOption& option : OptionsOf(table, section)) {
      const std::string setting = fmt::format("{}: {}", config::LastSegment(option.key), option.ValueText());
      const std::string spaces(widest - setting.size(), ' ');
      out += fmt::format("{}{}{}  # from {}\n", Indent(option.key), setting, spaces, option.source.Text());
    }
  }
  return out;
}

}  // namespace cllm
