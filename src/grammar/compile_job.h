// One compilation of a grammar, which happens in a child process: the library that does it cannot be timed, cancelled or bounded in
// memory, and ends its process on some input.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "grammar/grammar_source.h"
#include "grammar/vocabulary.h"

namespace cllm {

struct CompileJob {
  GrammarSource source = {};
  Vocabulary vocabulary = {};
};

// What the child reads: the job as bytes, and back. An error for bytes that are no job.
std::string WriteCompileJob(const GrammarSource& source, const Vocabulary& vocabulary);
Result<CompileJob> ReadCompileJob(std::string_view bytes);

// First byte of what the child writes: a compiled grammar follows, or a sentence that says why there is none.
inline constexpr char kCompiled = '+', kNotCompiled = '-';

struct CompileLimits {
  std::size_t memory_bytes = std::size_t{1} << 30;  // of addresses, where that can be bounded
  double processor_s = 10;                          // beside other work that is not the time on the clock
};

// The whole of the child: reads a job from standard input, writes the outcome to standard output.
int RunCompileChild(const CompileLimits& limits);

}  // namespace cllm
