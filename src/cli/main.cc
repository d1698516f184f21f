// The program: every command is declared here, each lives in a file of its own.
#include "base/standard_streams.h"
#include "cli/commands.h"
#include "cli/program.h"

// Drogon opens an event loop before main begins.
[[gnu::constructor(101)]] static void OccupyStandardStreamsFirst() { cllm::OccupyStandardStreams(); }

int main(int argc, char** argv) {
  cllm::Program program(CLLM_VERSION);
  cllm::AddServeCommand(program);
  cllm::AddRunCommand(program);
  cllm::AddBenchCommand(program);
  cllm::AddShowCommand(program);
  cllm::AddPullCommand(program);
  cllm::AddListCommand(program);
  cllm::AddRmCommand(program);
  cllm::AddConfigCommand(program);
  cllm::AddCompletionCommand(program);
  cllm::AddManCommand(program);
  cllm::AddVersionCommand(program);
  cllm::AddProbeCommand(program);
  cllm::AddServeModelCommand(program);
  cllm::AddCompileGrammarCommand(program);
  return program.Run({argv + 1, argv + argc});
}
