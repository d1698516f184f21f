// A model's tokens as grammars see them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

struct Vocabulary {
  std::vector<std::string> pieces = {};  // bytes of each token; empty: a control token, which comes only where a frame names it
  std::vector<std::int32_t> ends = {};   // tokens that end an answer, where its grammar is satisfied
};

}  // namespace cllm
