#include "model/layer_memory.h"

#include <ggml-backend.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/machine.h"

namespace cllm {
namespace {

std::vector<ggml_backend_dev_t> Devices(enum ggml_backend_dev_type type) {
  std::vector<ggml_backend_dev_t> devices;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (ggml_backend_dev_type(device) == type) devices.push_back(device);
  }
  return devices;
}

// Those that llama.cpp would use: GPUs that share main memory only where there are no others.
std::vector<ggml_backend_dev_t> UsedGpus(const WeightOptions& options) {
  if (!Model::HasGpuSupport()) return {};
  std::vector<ggml_backend_dev_t> gpus = Devices(GGML_BACKEND_DEVICE_TYPE_GPU);
  if (gpus.empty()) gpus = Devices(GGML_BACKEND_DEVICE_TYPE_IGPU);
  if (options.split_mode != "none") return gpus;
  const auto main = static_cast<std::size_t>(options.main_gpu);
  if (main >= gpus.size()) return {};
  return {gpus[main]};
}

std::int64_t FreeBytes(ggml_backend_dev_t device) {
  std::size_t free = 0;
  std::size_t total = 0;
  ggml_backend_dev_memory(device, &free, &total);
  return static_cast<std::int64_t>(free);
}

// So many bytes in a share of the layers are this many in all.
std::int64_t Extrapolate(std::int64_t bytes, int share, int layers) {
  return share > 0 ? bytes * layers / share : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::int64_t LayerMemory::available_bytes() const {
  return std::min(Extrapolate(gpu_bytes, gpu_layers, layers), Extrapolate(main_bytes, layers - gpu_layers, layers));
}

LayerMemory FindLayerMemory(const WeightOptions& options, int layers) {
  LayerMemory memory{.layers = std::max(1, layers), .main_bytes = AvailableMemoryBytes()};
  const std::vector<ggml_backend_dev_t> gpus = options.n_gpu_layers == 0 ? std::vector<ggml_backend_dev_t>() : UsedGpus(options);
  if (gpus.empty()) return memory;
  // llama.cpp counts the output as the layer that goes to a GPU first.
  memory.gpu_layers = options.n_gpu_layers < 0 ? memory.layers : std::min(options.n_gpu_layers - 1, memory.layers);
  memory.gpu_name = ggml_backend_dev_description(gpus.front());
  for (ggml_backend_dev_t gpu : gpus) memory.gpu_bytes += FreeBytes(gpu);
  return memory;
}

}  // namespace cllm
