// What holds where a request says nothing.
#pragma once

#include <cstdint>
#include <string>

#include "service/generation.h"

namespace cllm {

struct RequestDefaults {
  SamplingParams sampling = {};   // temperature, top-p and top-k are settings
  int max_tokens = 0;             // in every dialect; 0: the dialect's own
  int generate_max_tokens = 256;  // the own one of /generate and /generate_stream
  std::int64_t seed = -1;         // -1: a random one
  // "ignore" or "reject": OpenAI's endpoints and fields that nobody knows. /generate rejects them always.
  std::string unknown_fields = "ignore";
};

}  // namespace cllm
