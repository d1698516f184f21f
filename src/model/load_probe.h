// Trial loads: whatever llama.cpp makes of a file, it makes it first in a process of its own.
#pragma once

#include <string>

namespace cllm {

// What the child does: loads the file without its weights, makes a context, tokenises and tries the chat template.
// Prints llama.cpp's messages, then one line that is kProbeGood or begins with kProbeRefused or kProbeAborted, on
// standard output. Returns the exit code. Limits its own memory and time; to be called in a process that ends with it.
int RunLoadProbe(const std::string& path);

inline constexpr char kProbeGood[] = "good";
inline constexpr char kProbeRefused[] = "refused: ";
inline constexpr char kProbeAborted[] = "aborted: ";

}  // namespace cllm
