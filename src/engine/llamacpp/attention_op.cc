#include "engine/llamacpp/attention_op.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

#include <ggml-cpu.h>
#include <ggml-cpu/traits.h>

#include "base/invariant.h"
#include "engine/llamacpp/attention_plan.h"
#include "engine/llamacpp/tensor_address.h"
#include "kernels/attention.h"

namespace cllm {
namespace {

// Keys (or values) of a KV head from a position on.
const std::uint16_t* RowOf(const ggml_tensor* tensor, int stream, int kv_head, std::int64_t position) {
  return reinterpret_cast<const std::uint16_t*>(RowAt(tensor, position, kv_head, stream));
}

// Queries that share a KV head, and where their results go.
struct Queries {
  int count = 0;
  std::array<AttentionQuery, kMostAttentionQueries> queries;  // their masks are those of the first position
  std::array<float*, kMostAttentionQueries> outputs;

  // Those of a block of a run.
  void Add(const ggml_tensor* op, const AttentionPlan& plan, const AttentionRun& run, int block, int kv_head) {
    const ggml_tensor* query = op->src[0];
    const ggml_tensor* mask = op->src[3];
    const int first = block * run.rows_per_block, last = std::min(run.rows, first + run.rows_per_block);
    for (int row = run.first_row + first; row < run.first_row + last; ++row) {
      for (int i = 0; i < plan.heads_per_kv_head; ++i, ++count) {
        const int head = kv_head * plan.heads_per_kv_head + i;
        const char* hides = mask == nullptr ? nullptr : RowAt(mask, row, head % mask->ne[2], run.plane % mask->ne[3]);
        queries[count] = {.query = reinterpret_cast<const float*>(RowAt(query, row, head, run.plane)),
                          .mask = reinterpret_cast<const std::uint16_t*>(hides)};
        outputs[count] = reinterpret_cast<float*>(RowAt(op, head, row, run.plane));
      }
    }
  }

  // `next_keys`: those that are attended to afterwards, or null.
  void Attend(const ggml_tensor* op, const AttentionPlan& plan, int stream, int kv_head, int span, const std::uint16_t* next_keys,
              float* scratch, float* states) const {
    const int first = span * kAttentionSpan;
    const ggml_tensor* key = op->src[1];
    const ggml_tensor* value = op->src[2];
    std::array<AttentionQuery, kMostAttentionQueries> asked;
    for (int q = 0; q < count; ++q) asked[q] = {queries[q].query, queries[q].mask == nullptr ? nullptr : queries[q].mask + first};
    plan.kernel.Attend({.positions = static_cast<int>(std::min<std::int64_t>(kAttentionSpan, key->ne[1] - first)),
                        .keys = RowOf(key, stream, kv_head, first),
                        .values = RowOf(value, stream, kv_head, first),
                        .key_stride = static_cast<std::ptrdiff_t>(key->nb[1] / sizeof(std::uint16_t)),
                        .value_stride = static_cast<std::ptrdiff_t>(value->nb[1] / sizeof(std::uint16_t)),
                        .next_keys = next_keys},
                       {asked.data(), static_cast<std::size_t>(count)}, scratch, states);
  }
};

bool TakesHeads(std::int64_t key_size, std::int64_t value_size, std::int64_t heads, std::int64_t kv_heads) {
  return AttentionKernel::Takes(key_size, value_size) && kv_heads > 0 && heads % kv_heads == 0 && heads / kv_heads <= kMostAttentionQueries;
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
  const ggml_tensor* cells = op->src[kCellsOfRows];
  if (cells != nullptr && (cells->type != GGML_TYPE_I64 || cells->ne[0] != query->ne[1] || query->ne[3] != 1)) return false;
  const bool types = query->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && key->type == GGML_TYPE_F16 &&
                     value->type == GGML_TYPE_F16 && (mask == nullptr || mask->type == GGML_TYPE_F16);
  const bool rows_are_whole = query->nb[0] == sizeof(float) && key->nb[0] == sizeof(std::uint16_t) && value->nb[0] == sizeof(std::uint16_t);
  return types && rows_are_whole && key->ne[2] == value->ne[2] && key->ne[3] == query->ne[3] && value->ne[3] == query->ne[3] &&
         TakesHeads(key->ne[0], value->ne[0], query->ne[2], key->ne[2]);
}

void AttendBySpan(const ggml_tensor* op, const AttentionPlan& plan, const std::vector<AttentionPiece>& share, float* scratch,
                  float* partials) {
  float* states = scratch + plan.kernel.scratch_size();
  for (std::size_t i = 0; i < share.size(); ++i) {
    const auto [span, kv_head, block] = share[i];
    const std::uint16_t* next_keys = nullptr;
    if (i + 1 < share.size()) {
      const AttentionPiece& next = share[i + 1];
      next_keys = RowOf(op->src[1], next.span->stream, next.kv_head, std::int64_t{next.span->span} * kAttentionSpan);
    }
    Queries queries;
    for (int r = 0; r < span->count; ++r) queries.Add(op, plan, plan.runs[span->runs[r]], block, kv_head);
    const auto place = [&, number = span->span, head = kv_head, part = block](const AttentionRun& run) {
      return partials + plan.partial(run, head, part, number);
    };
    if (span->count == 1) {
      queries.Attend(op, plan, span->stream, kv_head, span->span, next_keys, scratch, place(plan.runs[span->runs[0]]));
      continue;
    }
    queries.Attend(op, plan, span->stream, kv_head, span->span, next_keys, scratch, states);
    const float* from = states;
    for (int r = 0; r < span->count; ++r) {
      const AttentionRun& run = plan.runs[span->runs[r]];
      std::copy_n(from, plan.states(run), place(run));
      from += plan.states(run);
    }
  }
}

// All spans that a unit sees.
void FinishUnit(const ggml_tensor* op, const AttentionPlan& plan, const AttentionRun& run, int kv_head, int block,
                std::span<const SeenSpan> spans, float* scratch, const float* partials) {
  Queries queries;
  queries.Add(op, plan, run, block, kv_head);
  float* states = scratch + plan.kernel.scratch_size();
  float* totals = states + kMostAttentionQueries * plan.kernel.state_size();
  std::fill_n(totals, plan.states(run), -std::numeric_limits<float>::infinity());
  for (const SeenSpan& seen : spans) {
    if (!run.by_span) queries.Attend(op, plan, seen.stream, kv_head, seen.span, nullptr, scratch, states);
    plan.kernel.Combine(run.by_span ? partials + plan.partial(run, kv_head, block, seen.span) : states, queries.count, totals);
  }
  for (int q = 0; q < queries.count; ++q) plan.kernel.Finish(totals + q * plan.kernel.state_size(), queries.outputs[q]);
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
  ggml::cpu::tensor_traits* get_tensor_traits(const ggml_tensor* op) override {
    if (Takes(op)) return this;
    CheckInvariant(op->op != GGML_OP_FLASH_ATTN_EXT || op->src[kCellsOfRows] == nullptr,
                   "attention over rows of several streams is ours: ggml's would take them for those of one");
    return nullptr;
  }

  bool work_size(int threads, const ggml_tensor* op, size_t& size) override {
    size = AttentionPlan(op, threads).work_bytes(threads);
    return true;
  }

  bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
    const AttentionPlan plan(op, params->nth);
    CheckInvariant(plan.work_bytes(params->nth) <= params->wsize, "attention has the memory that it asked for");
    float* work = static_cast<float*>(params->wdata);
    float* scratch = work + params->ith * plan.scratch();
    float* partials = work + params->nth * plan.scratch();
    const std::vector<SeenSpan> seen = SeenSpans(op, plan);
    if (plan.partials > 0) {
      const std::vector<SharedSpan> spans = SharedSpans(op, plan, seen, params->nth);
      AttendBySpan(op, plan, ShareOfPieces(plan, spans, params->ith, params->nth), scratch, partials);
      ggml_barrier(params->threadpool);
    }
    int turn = 0;
    for (int number = 0; number < static_cast<int>(plan.runs.size()); ++number) {
      const auto spans = std::ranges::equal_range(seen, number, {}, &SeenSpan::run);
      const AttentionRun& run = plan.runs[number];
      // By turns, all heads of a block before the next: later blocks of a prompt attend over more.
      for (int unit = 0; unit < plan.units(run); ++unit, ++turn) {
        if (turn % params->nth != params->ith) continue;
        FinishUnit(op, plan, run, unit % plan.kv_heads, unit / plan.kv_heads, spans, scratch, partials);
      }
    }
    return true;
  }

 private:
  ggml_backend_buffer_type buffers_;
};

}  // namespace

bool AttentionHeadsAreOurs(std::int64_t key_size, std::int64_t value_size, std::int64_t heads, std::int64_t kv_heads) {
  return AttentionKernel::IsFast() && TakesHeads(key_size, value_size, heads, kv_heads);
}

void UseOwnAttention() {
  static AttentionOp& op = *new AttentionOp;  // never destroyed: ggml's list points to it
  std::vector<ggml_backend_buffer_type_t>& list = ggml_backend_cpu_get_extra_buffer_types();
  if (!AttentionKernel::IsFast() || std::ranges::find(list, op.buffers()) != list.end()) return;
  list.push_back(op.buffers());
}

}  // namespace cllm
