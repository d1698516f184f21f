// The child of the tests' compilers; the program's own is a hidden command.
#include "grammar/compile_job.h"

int main() { return cllm::RunCompileChild({.processor_s = 2}); }
