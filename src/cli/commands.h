// The commands, one file each. Each function declares its command and what it does.
#pragma once

namespace cllm {

class Program;

void AddServeCommand(Program& program);
void AddRunCommand(Program& program);
void AddBenchCommand(Program& program);
void AddPullCommand(Program& program);
void AddListCommand(Program& program);
void AddRmCommand(Program& program);
void AddConfigCommand(Program& program);
void AddCompletionCommand(Program& program);
void AddManCommand(Program& program);
void AddVersionCommand(Program& program);
void AddShowCommand(Program& program);

// The hidden command that tries a model in a child process.
inline constexpr char kProbeCommand[] = "probe-model";
void AddProbeCommand(Program& program);

// The hidden command that serves one model of a list to the server that has started it.
inline constexpr char kServeModelCommand[] = "serve-model";
void AddServeModelCommand(Program& program);

// The hidden command that compiles a grammar in a child process.
inline constexpr char kCompileGrammarCommand[] = "compile-grammar";
void AddCompileGrammarCommand(Program& program);

}  // namespace cllm
