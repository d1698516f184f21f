#pragma once

#include <string>

#include "model/model.h"

namespace cllm {

struct LlamaCppOptions {
  int n_batch = 512;                     // most tokens of a step, and so the longest prompt chunk
  int n_threads = 0;                     // compute threads; 0 = as many as are best, beside what else the machine does at the time
  int n_seq_max = 8;                     // sequences that hold KV at a time
  std::string flash_attention = "auto";  // auto | on | off
  std::string kv_type = "f16";           // f32 | f16 | bf16 | q8_0 | q4_0
  // Rotary position embedding, as llama.cpp has it.
  std::string rope_scaling = "auto";  // auto (what the file says) | none | linear | yarn
  double rope_freq_base = 0;          // 0 = what the file says
  double rope_freq_scale = 0;         // likewise
  WeightOptions weights;
};

}  // namespace cllm
