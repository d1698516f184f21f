// What a user calls a model: a built-in name, an address, or a repository of Hugging Face.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

struct ModelReference {
  enum class Kind : std::uint8_t { kName, kUrl, kHuggingFace };

  Kind kind = Kind::kName;
  std::string text = {};    // as the user wrote it
  std::string owner = {};   // kHuggingFace: "unsloth"
  std::string repo = {};    // kHuggingFace: "Qwen3-0.6B-GGUF"
  std::string wanted = {};  // kHuggingFace: a file ("x/y.gguf"), a quantisation ("Q4_K_M"), or empty for the default
  std::string file = {};    // kUrl: the file name at its end

  bool wants_file() const;  // kHuggingFace: `wanted` is a file
};

// Whether the text can only mean a place to fetch from: it begins with "hf:", "http://" or "https://".
bool IsRemoteReference(std::string_view text);

// kInvalidArgument with what is wrong, where the text is none of the three forms or holds characters that a file name
// here may not have.
Result<ModelReference> ParseReference(std::string_view text);

// Names of files come from servers and are not trusted: each part begins with a letter, digit or underscore and holds
// only those and "._+=-"; at most 4 parts, 200 bytes each, and the last ends in ".gguf".
bool IsSafeModelPath(std::string_view path);

}  // namespace cllm
