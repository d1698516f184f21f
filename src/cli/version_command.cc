// `cllm version`.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/program.h"

namespace cllm {

void AddVersionCommand(Program& program) {
  program.AddCommand(program.root(), "version", "Print the version.", [&program] {
    fmt::print("cllm {}\n", program.version());
    return 0;
  });
}

}  // namespace cllm
