// Settings for the machine that the program runs on: how many threads, how many requests, how long they may be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/render.h"

namespace cllm {

struct MachineFacts {
  int cores = 1;                  // that this process may use
  std::int64_t memory_bytes = 0;  // that can still be allocated
};

struct ModelToServe {
  std::string path;
  std::int64_t size_bytes = 0;
  std::int64_t trained_context = 0;     // tokens; a file may claim any number
  std::int64_t kv_bytes_per_token = 0;  // K and V of one token in F16
};

// Pure arithmetic: threads from the cores; context and requests at a time so that their KV cache takes at most half of the
// memory that the weights leave. Without a model it reckons with one of about 8 billion parameters.
std::vector<ChosenValue> ChooseSettings(const MachineFacts& machine, const std::optional<ModelToServe>& model);

}  // namespace cllm
