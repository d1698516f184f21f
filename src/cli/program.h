// What the commands share: the command line, the settings and the choice that the user made.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/options.h"
#include "config/command_line.h"
#include "config/option_table.h"

namespace cllm {

class Program {
 public:
  explicit Program(std::string version);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  CLI::App& root() { return root_; }
  const std::string& version() const { return version_; }
  ServeOptions& options() { return options_; }
  const OptionTable& table() const { return table_; }
  const CommandLine& command_line() const { return command_line_; }
  // What Run was given behind the command.
  const std::vector<std::string>& arguments() const { return arguments_; }

  // Declares a command. `action` runs once the line is parsed, and returns the exit code.
  CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& help, std::function<int()> action);

  // Gives `command` --config.
  void UseConfigFile(CLI::App& command);

  // Gives `command` --config and every option of the table. To be called after the command's own flags are declared.
  void UseSettings(CLI::App& command);

  // Default, then configuration file, then environment (CLLM_API_KEY), then command line. For commands with UseSettings
  // or UseConfigFile. Of several problems of the file all but the last are said here.
  Status LoadSettings();

  // Sets an option by a flag that is a command's own.
  Status Set(const char* key, const std::string& text, const char* flag) { return table_.Set(key, text, ValueSource::CommandLine(flag)); }

  // Makes options().model.path the file to load. MODEL on the command line beats --model and the configuration; without
  // any of them it is the default model. Names, "hf:…" and addresses are pulled where they are missing (see cli/models.h).
  Status ResolveModel(const std::string& argument);

  // Parses the arguments (the program's name left out) and runs the chosen command. Returns the exit code.
  int Run(const std::vector<std::string>& arguments);

  // The configuration file that LoadSettings reads: --config, else the one that is found; empty where there is none.
  std::string ConfigFile() const;

 private:
  std::string version_;
  ServeOptions options_;
  OptionTable table_;
  CLI::App root_;
  CommandLine command_line_;
  std::string config_;  // --config
  std::vector<std::string> arguments_;
  std::function<int()> chosen_;
};

// Says on standard error, on one line with the program's name before it, what went wrong, whoever wrote parts of it. Returns the
// exit code of a failure: 1, or 130 where the user interrupted.
int Complain(const Error& error);

}  // namespace cllm
