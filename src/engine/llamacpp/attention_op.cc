#include "engine/llamacpp/attention_op.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <span>
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
// Of a unit. Up to so many wait for memory, which is best read from end to end; their states are small beside what they read.
constexpr int kFewQueries = 12;

// Scale, bias by position, soft cap.
std::array<float, 3> FloatParameters(const ggml_tensor* op) {
  std::array<float, 3> parameters;
  std::memcpy(parameters.data(), op->op_params, sizeof parameters);
  return parameters;
}

// How one operation is cut. A unit is some rows of all query heads that share a KV head, in one stream; where there are few
// units, or few queries in each, every span of its positions is a piece of work, else the unit is.
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
    const bool has_few_units = threads > 1 && units() < kUnitsPerThread * threads;
    by_span = spans > 1 && (has_few_units || queries() <= kFewQueries) && partials() <= kMostPartialFloats;
  }
  int units_of_stream() const { return kv_heads * units_of_rows; }
  int units() const { return streams * units_of_stream(); }
  int queries() const { return heads_per_kv_head * rows_per_unit; }
  std::size_t states() const { return static_cast<std::size_t>(queries()) * kernel.state_size(); }
  std::size_t partials() const { return static_cast<std::size_t>(units()) * spans * states(); }
  // Of each thread: the kernel's, states of a piece, totals of a unit, and the numbers of the spans that are seen.
  std::size_t scratch() const { return kernel.scratch_size() + 2 * states() + static_cast<std::size_t>(streams) * spans; }
  std::size_t work_bytes(int threads) const {
    return sizeof(float) * (threads * scratch() + (by_span ? partials() : 0));
  }
};

// Whether any row of a stream sees a position of a span.
bool IsSeen(const ggml_tensor* op, int stream, int span) {
  const ggml_tensor* mask = op->src[3];
  if (mask == nullptr) return true;
  const std::int64_t first = std::int64_t{span} * kAttentionSpan, last = std::min(mask->ne[0], first + kAttentionSpan);
  for (std::int64_t head = 0; head < mask->ne[2]; ++head) {
    for (std::int64_t row = 0; row < op->src[0]->ne[1]; ++row) {
      const auto* hides = reinterpret_cast<const std::uint16_t*>(RowAt(mask, row, head, stream % mask->ne[3]));
      if (hides[first] != kAttentionHidden) return true;
      std::uint16_t seen = 0;
      for (std::int64_t position = first; position < last; ++position) seen |= hides[position] ^ kAttentionHidden;
      if (seen != 0) return true;
    }
  }
  return false;
}

// The spans that are seen: stream * spans + span, ascending.
std::span<const std::int32_t> SeenSpans(const ggml_tensor* op, const Cut& cut, std::int32_t* numbers) {
  std::size_t count = 0;
  for (int stream = 0; stream < cut.streams; ++stream) {
    for (int span = 0; span < cut.spans; ++span) {
      if (IsSeen(op, stream, span)) numbers[count++] = stream * cut.spans + span;
    }
  }
  return {numbers, count};
}

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

// A thread's share of the pieces. Each thread takes neighbours, all heads of a span, then those of the stream's next: it reads memory
// from end to end. (Threads that take pieces by turns were 1.7 times as slow with one row; with whole units by turns a step of four or
// sixteen streams took 1.1 times as long.)
void AttendBySpan(const ggml_tensor* op, const Cut& cut, std::span<const std::int32_t> seen, const ggml_compute_params& params,
                  float* scratch, const auto& partial) {
  const int units = cut.units_of_stream();
  const auto pieces = static_cast<std::int64_t>(seen.size()) * units;
  const auto unit_of = [&](std::int64_t piece) { return seen[piece / units] / cut.spans * units + static_cast<int>(piece % units); };
  const auto span_of = [&](std::int64_t piece) { return seen[piece / units] % cut.spans; };
  const std::int64_t last = pieces * (params.ith + 1) / params.nth;
  for (std::int64_t piece = pieces * params.ith / params.nth; piece < last; ++piece) {
    const std::uint16_t* next_keys = nullptr;
    if (piece + 1 < last) next_keys = RowOf(op->src[1], cut, unit_of(piece + 1), std::int64_t{span_of(piece + 1)} * kAttentionSpan);
    const int number = unit_of(piece), span = span_of(piece);
    Unit(op, cut, number).Attend(op, cut, span, next_keys, scratch, partial(number, span));
  }
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
    std::span<const std::int32_t> seen;
    if (cut.by_span) {
      seen = SeenSpans(op, cut, reinterpret_cast<std::int32_t*>(totals + cut.states()));
      AttendBySpan(op, cut, seen, *params, scratch, partial);
      ggml_barrier(params->threadpool);
    }
    for (int number = params->ith; number < cut.units(); number += params->nth) {
      const Unit unit(op, cut, number);
      std::fill_n(totals, cut.states(), -std::numeric_limits<float>::infinity());
      if (cut.by_span) {
        const auto stream_of = [&](std::int32_t span) { return span / cut.spans; };
        for (const std::int32_t span : std::ranges::equal_range(seen, number / cut.units_of_stream(), {}, stream_of)) {
          cut.kernel.Combine(partial(number, span % cut.spans), unit.count, totals);
        }
      } else {
        for (int span = 0; span < cut.spans; ++span) {
          unit.Attend(op, cut, span, nullptr, scratch, states);
          cut.kernel.Combine(states, unit.count, totals);
        }
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
