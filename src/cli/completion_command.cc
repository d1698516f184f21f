// `cllm completion`: a script from the tree of commands.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/program.h"
#include "config/command_tree.h"
#include "config/completion.h"
#include "hub/catalogue.h"

namespace cllm {
namespace {

int PrintCompletion(Program& program, const std::string& shell) {
  std::vector<std::string> model_names;
  for (const KnownModel& model : KnownModels()) model_names.push_back(model.name);
  const CommandInfo root = DescribeCommands(program.root(), program.command_line(), model_names);
  const std::string script = shell == "bash"  ? RenderBashCompletion(root)
                             : shell == "zsh" ? RenderZshCompletion(root)
                                              : RenderFishCompletion(root);
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace

void AddCompletionCommand(Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = program.AddCommand(program.root(), "completion", "Print a completion script: source <(cllm completion bash).",
                                            [&program, shell] { return PrintCompletion(program, *shell); });
  completion->add_option("SHELL", *shell, "The shell that the script is for.")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace cllm
