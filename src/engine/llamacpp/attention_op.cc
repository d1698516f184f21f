#include "engine/llamacpp/attention_op.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <vector>

#include <ggml-cpu/traits.h>
#include <ggml-cpu.h>

#include "engine/llamacpp/tensor_address.h"
#include "kernels/attention.h"

namespace cllm {
namespace {

// What the states of all pieces may take, 64 MiB.
constexpr std::size_t kMostPartialFloats = std::size_t{1} << 24;
// So many pieces of work for each thread are balance enough.
constexpr int kUnitsPerThread = 4;

// Scale, bias by position, soft cap.
std::array<float, 3> FloatParameters(const ggml_tensor* op) {
  std::array<float, 3> parameters;
  std::memcpy(parameters.data(), op->op_params, sizeof parameters);
  return parameters;
}

// How one operation is cut. A unit is some rows of all query heads that share a KV head, in one stream; where there are few
// units, each span of its positions is a piece of work, else the unit is.
struct Cut {
  int heads_per_kv_head, rows_per_unit, units_of_rows, kv_heads, streams, spans;
  bool by_span;
  AttentionKernel kernel;

  Cut(const ggml_tensor* op, int threads)
      : kernel(static_cast<int>(op->src[1]->ne[0]), static_cast<int>(op->src[2]->ne[0]), FloatParameters(op)[0]) {
    const ggml_tensor* query = op->src[0];
    const ggml_tensor* key = op->src[1];
    kv_heads = static_cast<int>(key->ne[2]);
    heads_per_kv_head = static_cast<int>(query->ne[2]) / kv_heads;
    const int rows = static_cast<int>(query->ne[1]);
    const auto split = [rows](int parts) { return (rows + parts - 1) / parts; };
    units_of_rows = split(kMostAttentionQueries / heads_per_kv_head);
    rows_per_unit = split(units_of_rows);
    streams = static_cast<int>(query->ne[3]);
    spans = static_cast<int>((key->ne[1] + kAttentionSpan - 1) / kAttentionSpan);
    by_span = spans > 1 && threads > 1 && units() < kUnitsPerThread * threads && partials() <= kMostPartialFloats;
  }
  int units() const { return streams * kv_heads * units_of_rows; }
  int queries() const { return heads_per_kv_head * rows_per_unit; }
  std::size_t states() const { return static_cast<std::size_t>(queries()) * kernel.state_size(); }
  std::size_t partials() const { return static_cast<std::size_t>(units()) * spans * states(); }
  std::size_t scratch() const { return kernel.scratch_size() + 2 * states(); }  // of each thread
  std::size_t work_bytes(int threads) const {
    return sizeof(float) * (threads * scratch() + (by_span ? partials() : 0));
  }
};

// The keys (or values) of a unit at a position.
const std::uint16_t* RowOf(const ggml_tensor* tensor, const Cut& cut, int unit, std::int64_t position) {
  const int head_and_stream = unit / cut.units_of_rows;
  return reinterpret_cast<const std::uint16_t*>(RowAt(tensor, position, head_and_stream % cut.kv_heads, head_and_stream / cut.kv_heads));
}

// One unit's queries, and where their results go.
struct Unit {
  int number;
  int count = 0;
  std::array<AttentionQuery, kMostAttentionQueries> queries;  // their masks are those of the first position
  std::array<float*, kMostAttentionQueries> outputs;

  Unit(const ggml_tensor* op, const Cut& cut, int a_number) : number(a_number) {
    const ggml_tensor* query = op->src[0];
    const ggml_tensor* mask = op->src[3];
    const int block = number % cut.units_of_rows;
    const int kv_head = number / cut.units_of_rows % cut.kv_heads;
    const int stream = number / cut.units_of_rows / cut.kv_heads;
    const std::int64_t last = std::min<std::int64_t>(query->ne[1], std::int64_t{block + 1} * cut.rows_per_unit);
    for (std::int64_t row = std::int64_t{block} * cut.rows_per_unit; row < last; ++row) {
      for (int i = 0; i < cut.heads_per_kv_head; ++i, ++count) {
        const int head = kv_head * cut.heads_per_kv_head + i;
        const char* hides = mask == nullptr ? nullptr : RowAt(mask, row, head % mask->ne[2], stream % mask->ne[3]);
        queries[count] = {.query = reinterpret_cast<const float*>(RowAt(query, row, head, stream)),
                          .mask = reinterpret_cast<const std::uint16_t*>(hides)};
        outputs[count] = reinterpret_cast<float*>(RowAt(op, head, row, stream));
      }
    }
  }

  // `next_keys`: those that are attended to afterwards, or null.
  void Attend(const ggml_tensor* op, const Cut& cut, int span, const std::uint16_t* next_keys, float* scratch, float* states) const {
    const int first = span * kAttentionSpan;
    const ggml_tensor* key = op->src[1];
    const ggml_tensor* value = op->src[2];
    std::array<AttentionQuery, kMostAttentionQueries> asked;
    for (int q = 0; q < count; ++q) asked[q] = {queries[q].query, queries[q].mask == nullptr ? nullptr : queries[q].mask + first};
    cut.kernel.Attend({.positions = static_cast<int>(std::min<std::int64_t>(kAttentionSpan, key->ne[1] - first)),
                       .keys = RowOf(key, cut, number, first),
                       .values = RowOf(value, cut, number, first),
                       .key_stride = static_cast<std::ptrdiff_t>(key->nb[1] / sizeof(std::uint16_t)),
                       .value_stride = static_cast<std::ptrdiff_t>(value->nb[1] / sizeof(std::uint16_t)),
                       .next_keys = next_keys},
                      {asked.data(), static_cast<std::size_t>(count)}, scratch, states);
  }

  void Finish(const Cut& cut, const float* totals) const {
    for (int q = 0; q < count; ++q) cut.kernel.Finish(totals + q * cut.kernel.state_size(), outputs[q]);
  }
};

bool TakesHeads(std::int64_t key_size, std::int64_t value_size, std::int64_t heads, std::int64_t kv_heads) {
  return AttentionKernel::Takes(key_size, value_size) && kv_heads > 0 && heads % kv_heads == 0 &&
         heads / kv_heads <= kMostAttentionQueries;
}

bool Takes(const ggml_tensor* op) {
  if (op->op != GGML_OP_FLASH_ATTN_EXT || ggml_is_empty(op)) return false;
  const ggml_tensor* query = op->src[0];
  const ggml_tensor* key = op->src[1];
  const ggml_tensor* value = op->src[2];
  const ggml_tensor* mask = op->src[3];
  const bool has_sinks = op->src[4] != nullptr;
  const auto [scale, max_bias, soft_cap] = FloatParameters(op);
  if (has_sinks || max_bias != 0 || soft_cap != 0) return false;
  const bool types = query->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && key->type == GGML_TYPE_F16 &&
                     value->type == GGML_TYPE_F16 && (mask == nullptr || mask->type == GGML_TYPE_F16);
  const bool rows_are_whole = query->nb[0] == sizeof(float) && key->nb[0] == sizeof(std::uint16_t) &&
                              value->nb[0] == sizeof(std::uint16_t);
  return types && rows_are_whole && key->ne[2] == value->ne[2] && key->ne[3] == query->ne[3] && value->ne[3] == query->ne[3] &&
         TakesHeads(key->ne[0], value->ne[0], query->ne[2], key->ne[2]);
}

class AttentionOp : public ggml::cpu::tensor_traits, public ggml::cpu::extra_buffer_type {
 public:
  AttentionOp() : buffers_(*ggml_backend_cpu_buffer_type()) {
    buffers_.iface.get_name = [](ggml_backend_buffer_type_t) { return "cLLM"; };
    buffers_.context = static_cast<ggml::cpu::extra_buffer_type*>(this);
  }
  AttentionOp(const AttentionOp&) = delete;

  // Only the list of buffer types tells ggml of operations; nothing is ever stored in this one.
  ggml_backend_buffer_type* buffers() { return &buffers_; }

  bool supports_op(ggml_backend_dev_t, const ggml_tensor*) override { return false; }
  ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor* op) override { return Takes(op) ? this : nullptr; }

  bool work_size(int threads, const ggml_tensor* op, size_t& size) override {
    size = Cut(op, threads).work_bytes(threads);
    return true;
  }

  bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
    const Cut cut(op, params->nth);
    assert(cut.work_bytes(params->nth) <= params->wsize);
    float* work = static_cast<float*>(params->wdata);
    float* scratch = work + params->ith * cut.scratch();
    float* states = scratch + cut.kernel.scratch_size();
    float* totals = states + cut.states();
    float* partials = work + params->nth * cut.scratch();
    const auto partial = [&](int number, int span) {
      return partials + (static_cast<std::size_t>(number) * cut.spans + span) * cut.states();
    };
    if (cut.by_span) {
      // Each thread takes neighbours, all heads of a span, then those of the next: it reads memory from end to end. (Threads that take
      // pieces by turns were 1.7 times as slow with one row.)
      const std::int64_t pieces = std::int64_t{cut.units()} * cut.spans;
      for (std::int64_t piece = pieces * params->ith / params->nth; piece < pieces * (params->ith + 1) / params->nth; ++piece) {
        const int number = static_cast<int>(piece % cut.units()), span = static_cast<int>(piece / cut.units());
        const int next_span = number + 1 < cut.units() ? span : span + 1;
        const std::uint16_t* next_keys =
            next_span < cut.spans ? RowOf(op->src[1], cut, (number + 1) % cut.units(), std::int64_t{next_span} * kAttentionSpan) : nullptr;
        Unit(op, cut, number).Attend(op, cut, span, next_keys, scratch, partial(number, span));
      }
      ggml_barrier(params->threadpool);
    }
    for (int number = params->ith; number < cut.units(); number += params->nth) {
      const Unit unit(op, cut, number);
      std::fill_n(totals, cut.states(), -std::numeric_limits<float>::infinity());
      for (int span = 0; span < cut.spans; ++span) {
        if (!cut.by_span) unit.Attend(op, cut, span, nullptr, scratch, states);
        cut.kernel.Combine(cut.by_span ? partial(number, span) : states, unit.count, totals);
      }
      unit.Finish(cut, totals);
    }
    return true;
  }

 private:
  ggml_backend_buffer_type buffers_;
};

}  // namespace

bool AttentionHeadsAreOurs(int key_size, int value_size, int heads, int kv_heads) {
  return AttentionKernel::IsFast() && TakesHeads(key_size, value_size, heads, kv_heads);
}

void UseOwnAttention() {
  static AttentionOp& op = *new AttentionOp;  // never destroyed: ggml's list points to it
  std::vector<ggml_backend_buffer_type_t>& list = ggml_backend_cpu_get_extra_buffer_types();
  if (!AttentionKernel::IsFast() || std::ranges::find(list, op.buffers()) != list.end()) return;
  list.push_back(op.buffers());
}

}  // namespace cllm
