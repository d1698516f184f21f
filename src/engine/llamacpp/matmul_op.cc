#include "engine/llamacpp/matmul_op.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ggml-cpu.h>
#include <ggml-cpu/traits.h>
#include <sys/mman.h>

#include "base/invariant.h"
#include "engine/llamacpp/tensor_address.h"
#include "kernels/matmul.h"

// llama.cpp has no public list of a model's tensors.
const std::vector<std::pair<std::string, ggml_tensor*>>& llama_internal_get_tensor_map(const llama_model* model);

namespace cllm {
namespace {

// So many pieces of work for each thread are balance enough.
constexpr int kPiecesPerThread = 2;
constexpr std::size_t kAlignment = 64;

TensorType TypeOf(const ggml_tensor* weights) { return static_cast<TensorType>(weights->type); }

bool TakesMatrix(ggml_type type, std::int64_t inputs) {
  return type <= GGML_TYPE_Q6_K && MatmulKernel::Takes(static_cast<TensorType>(type), inputs);
}

bool TakesWeights(const ggml_tensor* weights) {
  return TakesMatrix(weights->type, weights->ne[0]) && weights->ne[2] == 1 && weights->ne[3] == 1 && weights->view_src == nullptr;
}

MatmulKernel Kernel(const ggml_tensor* weights) { return {TypeOf(weights), weights->ne[0], weights->ne[1]}; }

// An operation's input rows, in the order of its output's.
struct InputRows {
  const ggml_tensor* tensor;
  int count() const { return static_cast<int>(ggml_nrows(tensor)); }
  const float* row(int number) const {
    const std::int64_t i1 = number % tensor->ne[1], plane = number / tensor->ne[1];
    const std::int64_t i2 = plane % tensor->ne[2], i3 = plane / tensor->ne[2];
    return reinterpret_cast<const float*>(RowAt(tensor, i1, i2, i3));
  }
};

class MatmulOp : public ggml::cpu::tensor_traits, public ggml::cpu::extra_buffer_type {
 public:
  MatmulOp()
      : buffers_{.iface = {.get_name = [](ggml_backend_buffer_type_t) { return "cLLM weights"; },
                           .alloc_buffer = AllocateBuffer,
                           .get_alignment = [](ggml_backend_buffer_type_t) { return kAlignment; },
                           .get_max_size = nullptr,
                           .get_alloc_size = [](ggml_backend_buffer_type_t, const ggml_tensor* tensor) { return StoredSize(tensor); },
                           .is_host = nullptr},
                 .device = ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0),
                 .context = static_cast<ggml::cpu::extra_buffer_type*>(this)} {}
  MatmulOp(const MatmulOp&) = delete;

  ggml_backend_buffer_type* buffers() { return &buffers_; }

  bool supports_op(ggml_backend_dev_t, const ggml_tensor* op) override {
    if (!IsOurs(op) || !TakesWeights(op->src[0])) return false;
    const ggml_tensor* input = op->src[1];
    const bool is_near = input->buffer == nullptr || ggml_backend_buft_is_host(input->buffer->buft);
    return is_near && input->type == GGML_TYPE_F32 && input->nb[0] == sizeof(float);
  }

  ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor* op) override { return IsOurs(op) ? this : nullptr; }

  bool work_size(int, const ggml_tensor* op, size_t& size) override {
    size = InputRows{op->src[1]}.count() * Kernel(op->src[0]).quantised_size();
    return true;
  }

  bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
    const MatmulKernel kernel = Kernel(op->src[0]);
    const InputRows inputs{op->src[1]};
    auto* quantised = static_cast<std::byte*>(params->wdata);
    CheckInvariant(inputs.count() * kernel.quantised_size() <= params->wsize, "the inputs fit into the working memory that was asked for");
    CheckInvariant(ggml_is_contiguous(op), "a product is written in one piece");
    for (int row = params->ith; row < inputs.count(); row += params->nth) {
      kernel.Quantise(inputs.row(row), quantised + row * kernel.quantised_size());
    }
    if (params->ith == 0) ggml_threadpool_chunk_set(params->threadpool, params->nth);
    ggml_barrier(params->threadpool);
    // Each thread begins with a piece of its own, then takes what is left: they don't all run at one speed.
    const int pieces = std::min(kernel.strips(), kPiecesPerThread * params->nth);
    for (int piece = params->ith; piece < pieces; piece = ggml_threadpool_chunk_add(params->threadpool, 1)) {
      const auto strip = [&](int number) { return static_cast<int>(std::int64_t{kernel.strips()} * number / pieces); };
      kernel.Multiply(static_cast<const std::byte*>(op->src[0]->data), strip(piece), strip(piece + 1), quantised, inputs.count(),
                      static_cast<float*>(op->data), op->ne[0]);
    }
    return true;
  }

 private:
  bool IsOurs(const ggml_tensor* op) const {
    return op->op == GGML_OP_MUL_MAT && op->src[0]->buffer != nullptr && op->src[0]->buffer->buft == &buffers_;
  }

  static std::size_t StoredSize(const ggml_tensor* tensor) {
    return TakesWeights(tensor) ? Kernel(tensor).packed_size() : ggml_nbytes(tensor);
  }

  static ggml_backend_buffer_t AllocateBuffer(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
    if (buffer == nullptr) return nullptr;
    UseHugePages(ggml_backend_buffer_get_base(buffer), size);
    buffer->buft = type;
    buffer->iface.set_tensor = [](ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, size_t offset, size_t bytes) {
      CheckInvariant(offset == 0 && bytes == ggml_nbytes(tensor), "weights are set as a whole");
      CheckInvariant(TakesWeights(tensor), "only weights of known types are packed");
      Kernel(tensor).Pack(static_cast<const std::byte*>(data), static_cast<std::byte*>(tensor->data));
    };
    buffer->iface.get_tensor = nullptr;
    buffer->iface.cpy_tensor = nullptr;
    return buffer;
  }

  // Weights are read from end to end for each token: fewer misses of the address cache. Where the system says no they are as they were.
  static void UseHugePages([[maybe_unused]] void* base, [[maybe_unused]] std::size_t size) {
#ifdef MADV_HUGEPAGE
    constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
    const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(base) + kHugePage - 1) / kHugePage * kHugePage;
    const std::uintptr_t last = (reinterpret_cast<std::uintptr_t>(base) + size) / kHugePage * kHugePage;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  }

  ggml_backend_buffer_type buffers_;
};

MatmulOp& Op() {
  static MatmulOp& op = *new MatmulOp;  // never destroyed: ggml's list points to it
  return op;
}

}  // namespace

std::int64_t PackedWeightBytes(TensorType type, std::int64_t inputs, std::int64_t outputs) {
  if (!MatmulKernel::IsFast() || !TakesMatrix(static_cast<ggml_type>(type), inputs)) return 0;
  return static_cast<std::int64_t>(MatmulKernel(type, inputs, outputs).packed_size());
}

ggml_backend_buffer_type* OwnWeightBuffers() { return Op().buffers(); }

bool AllWeightsAreOurs(const llama_model* model) {
  constexpr std::string_view kEmbeddings = "token_embd.weight";  // only looked up, where the output has weights of its own
  bool embeddings_are_ours = false, has_output = false;
  for (const auto& [name, tensor] : llama_internal_get_tensor_map(model)) {
    if (ggml_n_dims(tensor) < 2) continue;
    const bool is_ours = tensor->buffer != nullptr && tensor->buffer->buft == OwnWeightBuffers();
    has_output = has_output || name == "output.weight";
    embeddings_are_ours = embeddings_are_ours || (is_ours && name == kEmbeddings);
    if (!is_ours && name != kEmbeddings) return false;
  }
  return has_output || embeddings_are_ours;
}

void UseOwnMatmul() {
  std::vector<ggml_backend_buffer_type_t>& list = ggml_backend_cpu_get_extra_buffer_types();
  if (!MatmulKernel::IsFast() || std::ranges::find(list, Op().buffers()) != list.end()) return;
  list.insert(list.begin(), Op().buffers());  // the first that takes a weight gets it
}

}  // namespace cllm
