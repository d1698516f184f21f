// The child of the tests' compilers; the program's own is a hidden command.
#include "grammar/compile_job.h"

int main() { return cllm::RunCompileChild(std::size_t{1} << 30); }
