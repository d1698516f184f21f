// `cllm config check` and `cllm config init`.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/machine.h"
#include "cli/commands.h"
#include "cli/config_init.h"
#include "cli/models.h"
#include "cli/program.h"
#include "cli/settings_check.h"
#include "config/yaml_config.h"
#include "formats/gguf_file.h"
#include "model/layer_memory.h"
#include "model/model_facts.h"

namespace cllm {
namespace {

// One line of the outcome of `config check`.
struct Line {
  int number = 0;
  std::string text;
};

int Check(Program& program, const std::string& argument) {
  const std::string file = argument.empty() ? program.ConfigFile() : argument;
  if (file.empty()) {
    return Complain(InvalidArgument("there is no config.yaml here: name the file to check, or make one with `cllm config init`").error());
  }
  ServeOptions options;
  OptionTable table;
  DeclareOptions(options, table);
  std::vector<Line> lines;
  bool wrong = false;
  for (const ConfigProblem& problem : ReadYamlFile(file, table)) {
    lines.push_back({problem.line, problem.error.message});
    wrong = true;
  }
  for (const SettingFinding& finding : CheckSettings(options, table, AvailableCores())) {
    lines.push_back({finding.source.line, fmt::format("{}: {}{}: {}", finding.source.Text(),
                                                      finding.is_error ? "" : "warning: ", finding.key, finding.message)});
    wrong = wrong || finding.is_error;
  }
  std::ranges::stable_sort(lines, {}, &Line::number);
  for (const Line& line : lines) fmt::print("{}\n", Escaped(line.text));
  if (!wrong) fmt::print("{}: ok\n", Escaped(file));
  return wrong ? 1 : 0;
}

struct InitArguments {
  std::string file = "config.yaml";
  std::string model;
  bool force = false;
};

// A MODEL that is not there is pulled, as by every command.
Result<std::optional<ModelToServe>> LookAtModel(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto path = FindOrPullModel(text, {});
  if (!path) return std::unexpected(path.error());
  const auto file = GgufFile::Open(*path);
  if (!file) return std::unexpected(file.error());
  if (const Status good = CheckModelMetadata(*file); !good) return std::unexpected(good.error());
  const auto facts = ReadModelFacts(*file);
  if (!facts) return std::unexpected(facts.error());
  // A relative path would depend on the folder in which the server is started; a name does not.
  const bool is_file = std::filesystem::exists(text);
  return ModelToServe{.path = is_file ? std::filesystem::absolute(text).lexically_normal().string() : text,
                      .size_bytes = facts->file_bytes,
                      .trained_context = facts->trained_context,
                      .kv_bytes_per_token = facts->kv_bytes_per_token_f16};
}

// Writes a new file. With `force` an old one is replaced, and stays as it is where the new one can't be written.
Status WriteFile(const std::string& path, const std::string& text, bool force) {
  const std::string target = force ? path + ".new" : path;
  std::FILE* file = std::fopen(target.c_str(), force ? "w" : "wx");
  if (file == nullptr) {
    if (errno == EEXIST) return InvalidArgument(path + " exists already; --force replaces it");
    return InvalidArgument(fmt::format("cannot write {}: {}", target, std::strerror(errno)));
  }
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) {
    const int error = errno;
    std::remove(target.c_str());
    return InvalidArgument(fmt::format("cannot write {}: {}", target, std::strerror(error)));
  }
  std::error_code error;
  if (force) std::filesystem::rename(target, path, error);
  if (error) return InvalidArgument(fmt::format("cannot replace {}: {}", path, error.message()));
  return {};
}

int Init(const Program& program, const InitArguments& arguments) {
  const bool to_stdout = arguments.file == "-";
  if (!to_stdout && !arguments.force && std::filesystem::exists(arguments.file)) {
    return Complain(InvalidArgument(arguments.file + " exists already; --force replaces it").error());
  }
  const auto model = LookAtModel(arguments.model);
  if (!model) return Complain(model.error());
  const MachineFacts machine{.cores = AvailableCores(), .memory_bytes = FindLayerMemory({}, 1).available_bytes()};
  const std::string text = RenderStarterYaml(
      program.table(),
      "Made by `cllm config init` for this machine. A line that begins with #key shows a default; without the # it sets it. "
      "`cllm config check` says what is wrong with the file, `cllm serve --print-config` what it comes to.",
      ChooseSettings(machine, *model));
  if (to_stdout) {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  if (const Status status = WriteFile(arguments.file, text, arguments.force); !status) return Complain(status.error());
  fmt::print("wrote {0}; try: cllm serve --config {0}\n", Escaped(arguments.file));
  return 0;
}

}  // namespace

void AddConfigCommand(Program& program) {
  CLI::App* config = program.root().add_subcommand("config", "Check a configuration file, or write one.");
  config->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  CLI::App* check = program.AddCommand(*config, "check", "Say everything that is wrong with a configuration file.",
                                       [&program, file] { return Check(program, *file); });
  check->add_option("FILE", *file, "The file. Default: the one that `cllm serve` would read.");

  auto arguments = std::make_shared<InitArguments>();
  CLI::App* init = program.AddCommand(*config, "init", "Write a commented configuration file for this machine.",
                                      [&program, arguments] { return Init(program, *arguments); });
  init->add_option("FILE", arguments->file, "The file to write; - prints it. Default: config.yaml.");
  init->add_option("--model", arguments->model, "Model to be served; its size decides on context and requests.")->type_name("MODEL");
  init->add_flag("--force", arguments->force, "Replace the file where there is one.");
}

}  // namespace cllm
