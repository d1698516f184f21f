// `cllm man`: the manual page, for `make install` and for reading.
#include <cstdio>

#include "cli/commands.h"
#include "cli/program.h"
#include "config/command_tree.h"
#include "config/man_page.h"

namespace cllm {

void AddManCommand(Program& program) {
  program.AddCommand(program.root(), "man", "Print the manual page: cllm man | man -l -.", [&program] {
    const CommandInfo root = DescribeCommands(program.root(), program.command_line(), {});
    std::fputs(RenderManPage(root, program.version(), "serve a language model over HTTP").c_str(), stdout);
    return 0;
  });
}

}  // namespace cllm
