// `cllm completion`: a script from the tree of commands.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/program.h"
#include "config/command_tree.h"
#include "config/completion.h"

namespace cllm {
namespace {

int PrintCompletion(Program& program, const std::string& shell) {
  const CommandInfo root = DescribeCommands(program.root(), program.command_line());
  const std::string script = shell == "bash"  ? RenderBashCompletion(root)
                             : shell == "zsh" ? RenderZshCompletion(root)
                                              : RenderFishCompletion(root);
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace

void AddCompletionCommand(Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion =
      program.AddCommand(program.root(), "completion", "Print a completion script: source <(cllm completion bash).",
                         [&program, shell] { return PrintCompletion(program, *shell); });
  completion->add_option("SHELL", *shell, "The shell that the script is for.")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace cllm
