// Binds option tables to the commands of a CLI11 program.
//
// CLI11 splits the line into commands, positional arguments and the flags that its apps declare. The flags of a table
// are taken out beforehand, because CLI11 2.1 knows neither "-ngl" nor an empty value, forgets which spelling the
// user typed, and lets "-model" pass as "-m odel".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/option_table.h"

namespace CLI {
class App;
}

namespace cllm {

// The rules for a table's flags: every spelling is matched whole. The value is the next argument or follows "=":
// "-p 80", "-p=80", "--port 80", "--port=80"; an argument that is itself a known flag is a value only after "=".
// A boolean takes no next argument: "--use-mmap" turns it on, "--no-use-mmap" off, "--use-mmap=off" works too.
// Where a flag is given more than once, the last one counts. After "--" there are no flags.
class CommandLine {
 public:
  // `root` and whatever is bound must outlive this object.
  explicit CommandLine(CLI::App& root) : root_(root) {}

  // Makes the table's flags known to `command` (the root or one of its subcommands) and appends them, section by
  // section, to its --help. To be called after the command's own flags are declared: one that is also the table's is
  // a bug of the program and aborts. A table may be bound to several commands.
  void Bind(CLI::App& command, OptionTable& table);

  // Parses the arguments, the program's name left out, and remembers what was given for the tables. Returns text to
  // print on stdout before leaving with success where the user asked for --help or a version, or named no command (or
  // one that only has others), which is taken for the same question; nothing where the program is to go on.
  // kInvalidArgument for anything unknown (flags and commands with the nearest known one) or incomplete.
  // Values are not looked at yet, so that --help works beside a wrong one.
  Result<std::optional<std::string>> Parse(const std::vector<std::string>& arguments);

  // Sets what Parse remembered, in the order of the line. To be called once the configuration file has been applied.
  // Errors begin with the flag as it was typed.
  Status Apply();

  // The table that is bound to the command, or none.
  OptionTable* TableOf(const CLI::App& command) const;

 private:
  struct Binding {
    CLI::App* command;
    OptionTable* table;
  };
  struct Given {
    OptionTable* table;
    std::string key;
    std::string text;
    std::string flag;  // as typed
  };

  Result<std::vector<std::string>> TakeTableFlags(const std::vector<std::string>& arguments);
  Status TakeTableFlag(const CLI::App& command, OptionTable& table, OptionTable::FlagMatch match, const std::vector<std::string>& arguments,
                       std::size_t& at);
  bool IsKnownFlag(const CLI::App& command, std::string_view flag) const;
  std::unexpected<Error> UnknownFlag(const CLI::App& command, std::string_view flag) const;

  CLI::App& root_;
  std::vector<Binding> bindings_;
  std::vector<Given> given_;
};

}  // namespace cllm
