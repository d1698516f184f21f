// What a file is that was taken for a GGUF file.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace cllm {

// What the file is, and what to do about it, in one line for a message: "a Git LFS pointer …: run `git lfs pull` …". It goes by
// signatures and looks at the first few KiB only. `file` is the whole file and no GGUF.
std::string DescribeForeignFile(std::span<const std::byte> file);

}  // namespace cllm
