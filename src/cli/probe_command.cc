// `cllm probe-model PATH`: the child of CheckModel. Hidden: it is for the program itself.
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/program.h"
#include "model/load_probe.h"

namespace cllm {

void AddProbeCommand(Program& program) {
  auto path = std::make_shared<std::string>();
  CLI::App* probe =
      program.AddCommand(program.root(), kProbeCommand, "Try to load a model without its weights.", [path] { return RunLoadProbe(*path); });
  probe->group("");
  probe->add_option("PATH", *path, "GGUF file.")->required();
}

}  // namespace cllm
