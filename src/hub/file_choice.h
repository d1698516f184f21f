// Which file of a repository is meant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cllm {

struct RepoFile {
  std::string path = {};
  std::int64_t size = -1;   // bytes; -1: not said
  std::string sha256 = {};  // empty: not said
};

// `wanted` is a file's path or name, a quantisation such as "q4_k_m" (upper and lower case are the same), or empty for
// Q4_K_M or else the best of what there is. Only GGUF files with safe names are looked at, and no mmproj files.
// kNotFound where nothing fits, kInvalidArgument where several do or where the model is split into several files;
// messages name what the repository has.
Result<RepoFile> ChooseFile(const std::vector<RepoFile>& files, std::string_view wanted);

}  // namespace cllm
