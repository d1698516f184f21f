// How much memory is free where the layers of a model lie: for their weights, and for their part of the KV cache.
#pragma once

#include <cstdint>
#include <string>

#include "model/model.h"

namespace cllm {

struct LayerMemory {
  int layers = 1;
  int gpu_layers = 0;           // of these, those on GPUs
  std::string gpu_name = {};    // of the first; empty where none is used
  std::int64_t gpu_bytes = 0;   // free on all that are used
  std::int64_t main_bytes = 0;  // free in main memory

  bool all_on_gpu() const { return gpu_layers == layers; }
  // What can be allocated in all layers together, as much in each.
  std::int64_t available_bytes() const;
};

// As it is now, for a model of so many layers that is loaded with these options. Starts the GPU's driver.
LayerMemory FindLayerMemory(const WeightOptions& options, int layers);

}  // namespace cllm
