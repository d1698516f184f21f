// `cllm rm`: deletes models from the folder of models.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/escape.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "cli/program.h"
#include "hub/progress.h"

namespace cllm {
namespace {

struct RmArguments {
  std::vector<std::string> models;
  bool force = false;
};

bool Agrees(const ModelEntry& entry) {
  fmt::print(stderr, "remove {} ({}, {})? [y/N] ", Escaped(entry.name), Escaped(entry.file.string()), FormatBytes(entry.size));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int RunRm(const RmArguments& arguments) {
  const ModelFolder folder = DefaultModelFolder();
  // All are looked up before the first is removed, so that a misspelt one leaves everything as it is.
  std::vector<ModelEntry> entries;
  for (const std::string& name : arguments.models) {
    auto entry = folder.Find(name);
    if (!entry) return Complain(UnknownModel(name, folder, false));
    entries.push_back(std::move(*entry));
  }
  const bool ask = !arguments.force && isatty(STDIN_FILENO) == 1;
  for (const ModelEntry& entry : entries) {
    if (ask && !Agrees(entry)) continue;
    if (const Status status = folder.Remove(entry); !status) return Complain(status.error());
    fmt::print(stderr, "removed {}\n", Escaped(entry.name));
  }
  return 0;
}

}  // namespace

void AddRmCommand(Program& program) {
  auto arguments = std::make_shared<RmArguments>();
  CLI::App* rm =
      program.AddCommand(program.root(), "rm", "Delete models from the folder of models.", [arguments] { return RunRm(*arguments); });
  rm->add_option("MODEL", arguments->models, "Names as `cllm list` shows them.")->required();
  rm->add_flag("-f,--force", arguments->force, "Do not ask.");
}

}  // namespace cllm
