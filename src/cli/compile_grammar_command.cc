// `cllm compile-grammar MIB SECONDS`: the child of GrammarCompiler. Hidden: it is for the program itself.
#include <cstdint>
#include <memory>

#include "cli/commands.h"
#include "cli/program.h"
#include "grammar/compile_job.h"

namespace cllm {

void AddCompileGrammarCommand(Program& program) {
  auto memory_mb = std::make_shared<std::size_t>();
  auto seconds = std::make_shared<double>();
  CLI::App* compile =
      program.AddCommand(program.root(), kCompileGrammarCommand, "Compile the grammar on standard input.",
                         [memory_mb, seconds] { return RunCompileChild({.memory_bytes = *memory_mb << 20, .processor_s = *seconds}); });
  compile->group("");
  compile->add_option("MIB", *memory_mb, "Memory that it may take.")->required();
  compile->add_option("SECONDS", *seconds, "Time of the processor that it may take.")->required();
}

}  // namespace cllm
