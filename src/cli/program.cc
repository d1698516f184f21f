#include "cli/program.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/escape.h"
#include "cli/models.h"
#include "config/yaml_config.h"

namespace cllm {

int Complain(const Error& error) {
  std::fprintf(stderr, "cllm: %s\n", Escaped(error.message).c_str());
  return error.code == ErrorCode::kCancelled ? kInterruptedExitCode : 1;
}

namespace {

// What was printed may still fail to arrive: the disk is full, or nobody reads on.
int WithOutputWritten(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  const int error = errno;
  if (error != EPIPE) std::fprintf(stderr, "cllm: cannot write to standard output: %s\n", std::strerror(error));
  return 1;
}

}  // namespace

Program::Program(std::string version)
    : version_(std::move(version)), root_("cLLM serves a GGUF model over HTTP to many clients at once.", "cllm"), command_line_(root_) {
  DeclareOptions(options_, table_);
  root_.require_subcommand(1);
  root_.set_version_flag("--version", fmt::format("cllm {}", version_), "Print the version.");
}

CLI::App* Program::AddCommand(CLI::App& parent, const std::string& name, const std::string& help, std::function<int()> action) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->callback([this, action = std::move(action)] { chosen_ = action; });
  return command;
}

void Program::UseConfigFile(CLI::App& command) {
  command
      .add_option("--config", config_,
                  "Configuration file. Default: the environment's CLLM_CONFIG, else config.yaml or config/config.yaml, if there is one.")
      ->type_name("FILE");
}

void Program::UseSettings(CLI::App& command) {
  UseConfigFile(command);
  command_line_.Bind(command, table_);
}

// --config, else CLLM_CONFIG, else config.yaml or config/config.yaml in the working folder, else none.
std::string Program::ConfigFile() const {
  if (!config_.empty()) return config_;
  if (const char* path = std::getenv("CLLM_CONFIG"); path != nullptr && *path != '\0') return path;
  for (const char* path : {"config.yaml", "config/config.yaml"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

Status Program::LoadSettings() {
  if (const std::string file = ConfigFile(); !file.empty()) {
    std::vector<ConfigProblem> problems = ReadYamlFile(file, table_);
    for (std::size_t i = 0; i + 1 < problems.size(); ++i) Complain(problems[i].error);
    if (!problems.empty()) return std::unexpected(std::move(problems.back().error));
  }
  if (const char* keys = std::getenv("CLLM_API_KEY"); keys != nullptr && *keys != '\0') {
    if (Status status = table_.Set("server.api_keys", keys, ValueSource::Environment("CLLM_API_KEY")); !status) return status;
  }
  return command_line_.Apply();
}

Status Program::ResolveModel(const std::string& argument) {
  auto file = FindOrPullModel(argument.empty() ? options_.model.path : argument, options_.pull);
  if (!file) return std::unexpected(file.error());
  options_.model.path = std::move(*file);
  return {};
}

int Program::Run(const std::vector<std::string>& arguments) {
  if (!arguments.empty()) arguments_.assign(arguments.begin() + 1, arguments.end());
  const auto text = command_line_.Parse(arguments);
  if (!text) return Complain(text.error());
  if (*text) {
    std::fputs((*text)->c_str(), stdout);
    return WithOutputWritten(0);
  }
  return WithOutputWritten(chosen_());
}

}  // namespace cllm
