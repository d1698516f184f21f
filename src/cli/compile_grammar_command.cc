// `cllm compile-grammar MIB`: the child of GrammarCompiler. Hidden: it is for the program itself.
#include <cstdint>
#include <memory>

#include "cli/commands.h"
#include "cli/program.h"
#include "grammar/compile_job.h"

namespace cllm {

void AddCompileGrammarCommand(Program& program) {
  auto memory_mb = std::make_shared<std::size_t>();
  CLI::App* compile = program.AddCommand(program.root(), kCompileGrammarCommand, "Compile the grammar on standard input.",
                                         [memory_mb] { return RunCompileChild(*memory_mb << 20); });
  compile->group("");
  compile->add_option("MIB", *memory_mb, "Memory that it may take.")->required();
}

}  // namespace cllm
