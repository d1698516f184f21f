#include "engine/llamacpp/attention_op.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <ggml-cpu/traits.h>
#include <ggml-cpu.h>

#include "base/invariant.h"
#include "engine/llamacpp/stream_origins.h"
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
// What reading a span costs, in the time that one query takes with it.
constexpr int kReadCost = 6;
// The source of an operation that says where its rows belong (scripts/patches/llama.cpp.patch).
constexpr int kCellsOfRows = 5;

// Scale, bias by position, soft cap.
std::array<float, 3> FloatParameters(const ggml_tensor* op) {
  std::array<float, 3> parameters;
  std::memcpy(parameters.data(), op->op_params, sizeof parameters);
  return parameters;
}

// Rows that attend over one stream of keys and values, in blocks. A unit is a block of all query heads that share a KV head.
struct Run {
  int plane = 0;  // of queries, mask and results
  int first_row = 0;
  int rows = 0;
  int stream = 0;  // of keys and values
  int blocks = 0;
  int rows_per_block = 0;
  bool by_span = false;       // every span of a unit is a piece of work, not the whole unit
  std::size_t partials = 0;   // where the states of its pieces begin, in floats
};

// The index of the cell into which a row's own key is written, where rows of several streams stand in one plane; else null.
const std::int64_t* CellsOfRows(const ggml_tensor* op) {
  return op->src[kCellsOfRows] == nullptr ? nullptr : static_cast<const std::int64_t*>(op->src[kCellsOfRows]->data);
}

const StreamOrigins* OriginsOf(const ggml_tensor* op) {
  return op->src[kCellsOfRows] == nullptr ? nullptr : static_cast<const StreamOrigins*>(op->src[kCellsOfRows]->extra);
}

std::vector<Run> RunsOf(const ggml_tensor* op) {
  const int rows = static_cast<int>(op->src[0]->ne[1]);
  const int planes = static_cast<int>(op->src[0]->ne[3]);
  const ggml_tensor* key = op->src[1];
  const std::int64_t* cells = CellsOfRows(op);
  std::vector<Run> runs;
  if (cells == nullptr) {
    for (int plane = 0; plane < planes; ++plane) runs.push_back({.plane = plane, .rows = rows, .stream = plane});
    return runs;
  }
  const auto cells_of_stream = static_cast<std::int64_t>(key->nb[3] / key->nb[1]);
  for (int row = 0; row < rows; ++row) {
    const int stream = static_cast<int>(cells[row] / cells_of_stream);
    if (runs.empty() || runs.back().stream != stream) runs.push_back({.first_row = row, .stream = stream});
    ++runs.back().rows;
  }
  return runs;
}

// How one operation is cut: by span where there are few queries in a unit, or few units of many.
struct Cut {
  AttentionKernel kernel;
  int kv_heads, heads_per_kv_head, spans;
  std::vector<Run> runs;
  std::size_t partials = 0;  // floats of all pieces

  Cut(const ggml_tensor* op, int threads)
      : kernel(static_cast<int>(op->src[1]->ne[0]), static_cast<int>(op->src[2]->ne[0]), FloatParameters(op)[0]),
        kv_heads(static_cast<int>(op->src[1]->ne[2])),
        heads_per_kv_head(static_cast<int>(op->src[0]->ne[2]) / kv_heads),
        spans(static_cast<int>((op->src[1]->ne[1] + kAttentionSpan - 1) / kAttentionSpan)),
        runs(RunsOf(op)) {
    int units_of_many = 0;
    for (Run& run : runs) {
      const auto split = [&run](int parts) { return (run.rows + parts - 1) / parts; };
      run.blocks = split(kMostAttentionQueries / heads_per_kv_head);
      run.rows_per_block = split(run.blocks);
      if (queries(run) > kFewQueries) units_of_many += units(run);
    }
    const bool has_few_units = threads > 1 && units_of_many < kUnitsPerThread * threads;
    for (Run& run : runs) {
      const std::size_t floats = static_cast<std::size_t>(units(run)) * spans * states(run);
      run.by_span = spans > 1 && (has_few_units || queries(run) <= kFewQueries) && partials + floats <= kMostPartialFloats;
      run.partials = partials;
      if (run.by_span) partials += floats;
    }
  }
  int units(const Run& run) const { return run.blocks * kv_heads; }
  int queries(const Run& run) const { return heads_per_kv_head * run.rows_per_block; }
  std::size_t states(const Run& run) const { return static_cast<std::size_t>(queries(run)) * kernel.state_size(); }
  std::size_t partial(const Run& run, int unit, int span) const {
    return run.partials + (static_cast<std::size_t>(unit) * spans + span) * states(run);
  }
  // Of each thread: the kernel's, states of a piece and totals of a unit.
  std::size_t scratch() const { return kernel.scratch_size() + std::size_t{2} * kMostAttentionQueries * kernel.state_size(); }
  std::size_t work_bytes(int threads) const { return sizeof(float) * (threads * scratch() + partials); }
};

// Whether any row of a run sees a position of a span.
bool IsSeen(const ggml_tensor* op, const Run& run, int span) {
  const ggml_tensor* mask = op->src[3];
  if (mask == nullptr) return true;
  const std::int64_t first = std::int64_t{span} * kAttentionSpan, last = std::min(mask->ne[0], first + kAttentionSpan);
  for (std::int64_t head = 0; head < mask->ne[2]; ++head) {
    for (int row = run.first_row; row < run.first_row + run.rows; ++row) {
      const auto* hides = reinterpret_cast<const std::uint16_t*>(RowAt(mask, row, head, run.plane % mask->ne[3]));
      if (hides[first] != kAttentionHidden) return true;
      std::uint16_t seen = 0;
      for (std::int64_t position = first; position < last; ++position) seen |= hides[position] ^ kAttentionHidden;
      if (seen != 0) return true;
    }
  }
  return false;
}

struct SeenSpan {
  int run, span;
  int stream;  // where it is read
};

// In the order of runs, then of spans.
std::vector<SeenSpan> SeenSpans(const ggml_tensor* op, const Cut& cut) {
  const StreamOrigins* origins = OriginsOf(op);
  std::vector<SeenSpan> seen;
  seen.reserve(cut.runs.size() * cut.spans);
  for (int number = 0; number < static_cast<int>(cut.runs.size()); ++number) {
    const Run& run = cut.runs[number];
    for (int span = 0; span < cut.spans; ++span) {
      if (!IsSeen(op, run, span)) continue;
      const int stream = origins == nullptr ? run.stream : origins->SourceOf(run.stream, (span + 1) * kAttentionSpan);
      seen.push_back({number, span, stream});
    }
  }
  return seen;
}

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
  void Add(const ggml_tensor* op, const Cut& cut, const Run& run, int block, int kv_head) {
    const ggml_tensor* query = op->src[0];
    const ggml_tensor* mask = op->src[3];
    const int first = block * run.rows_per_block, last = std::min(run.rows, first + run.rows_per_block);
    for (int row = run.first_row + first; row < run.first_row + last; ++row) {
      for (int i = 0; i < cut.heads_per_kv_head; ++i, ++count) {
        const int head = kv_head * cut.heads_per_kv_head + i;
        const char* hides = mask == nullptr ? nullptr : RowAt(mask, row, head % mask->ne[2], run.plane % mask->ne[3]);
        queries[count] = {.query = reinterpret_cast<const float*>(RowAt(query, row, head, run.plane)),
                          .mask = reinterpret_cast<const std::uint16_t*>(hides)};
        outputs[count] = reinterpret_cast<float*>(RowAt(op, head, row, run.plane));
      }
    }
  }

  // `next_keys`: those that are attended to afterwards, or null.
  void Attend(const ggml_tensor* op, const Cut& cut, int stream, int kv_head, int span, const std::uint16_t* next_keys, float* scratch,
              float* states) const {
    const int first = span * kAttentionSpan;
    const ggml_tensor* key = op->src[1];
    const ggml_tensor* value = op->src[2];
    std::array<AttentionQuery, kMostAttentionQueries> asked;
    for (int q = 0; q < count; ++q) asked[q] = {queries[q].query, queries[q].mask == nullptr ? nullptr : queries[q].mask + first};
    cut.kernel.Attend({.positions = static_cast<int>(std::min<std::int64_t>(kAttentionSpan, key->ne[1] - first)),
                       .keys = RowOf(key, stream, kv_head, first),
                       .values = RowOf(value, stream, kv_head, first),
                       .key_stride = static_cast<std::ptrdiff_t>(key->nb[1] / sizeof(std::uint16_t)),
                       .value_stride = static_cast<std::ptrdiff_t>(value->nb[1] / sizeof(std::uint16_t)),
                       .next_keys = next_keys},
                      {asked.data(), static_cast<std::size_t>(count)}, scratch, states);
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
  const ggml_tensor* cells = op->src[kCellsOfRows];
  if (cells != nullptr && (cells->type != GGML_TYPE_I64 || cells->ne[0] != query->ne[1] || query->ne[3] != 1)) return false;
  const bool types = query->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && key->type == GGML_TYPE_F16 &&
                     value->type == GGML_TYPE_F16 && (mask == nullptr || mask->type == GGML_TYPE_F16);
  const bool rows_are_whole = query->nb[0] == sizeof(float) && key->nb[0] == sizeof(std::uint16_t) &&
                              value->nb[0] == sizeof(std::uint16_t);
  return types && rows_are_whole && key->ne[2] == value->ne[2] && key->ne[3] == query->ne[3] && value->ne[3] == query->ne[3] &&
         TakesHeads(key->ne[0], value->ne[0], query->ne[2], key->ne[2]);
}

// A span of keys and values that one run attends to, or that several do which share it. Each KV head and block of it is a piece of work.
struct SharedSpan {
  SharedSpan(int a_span, int a_stream) : span(a_span), stream(a_stream) {}

  int span;
  int stream;       // where it is read
  int queries = 0;  // of a piece
  int count = 0;    // of runs: one, or several of one block each
  std::array<std::uint16_t, kMostAttentionQueries> runs;

  void Add(int run, int its_queries) {
    runs[count++] = static_cast<std::uint16_t>(run);
    queries += its_queries;
  }
};

std::vector<SharedSpan> SharedSpans(const ggml_tensor* op, const Cut& cut, const std::vector<SeenSpan>& seen, int threads) {
  const StreamOrigins* origins = OriginsOf(op);
  const bool may_share = origins != nullptr && !origins->empty();
  // So many queries at once that the pieces of one span are enough for all threads.
  const int most = std::clamp(kMostAttentionQueries * cut.kv_heads / threads, kFewQueries, kMostAttentionQueries);
  std::vector<SharedSpan> spans;
  spans.reserve(seen.size());
  std::map<std::pair<int, int>, std::size_t> last;  // in `spans`, by stream and span
  for (const auto& [number, span, stream] : seen) {
    const Run& run = cut.runs[number];
    if (!run.by_span) continue;
    if (may_share && run.blocks == 1) {
      const auto [place, is_new] = last.try_emplace({stream, span}, spans.size());
      if (!is_new && spans[place->second].queries + cut.queries(run) <= most) {
        spans[place->second].Add(number, cut.queries(run));
        continue;
      }
      place->second = spans.size();
    }
    spans.emplace_back(span, stream).Add(number, cut.queries(run));
  }
  return spans;
}

struct Piece {
  const SharedSpan* span;
  int kv_head, block;
};

// A thread's share of the pieces. Each thread takes neighbours, all heads of a span, then those of the stream's next: it reads memory
// from end to end. (Threads that take pieces by turns were 1.7 times as slow with one row; with whole units by turns a step of four or
// sixteen streams took 1.1 times as long.)
std::vector<Piece> ShareOfPieces(const Cut& cut, const std::vector<SharedSpan>& spans, const ggml_compute_params& params) {
  const auto blocks = [&cut](const SharedSpan& span) { return cut.runs[span.runs[0]].blocks; };
  const auto cost = [](const SharedSpan& span) { return std::int64_t{kReadCost} + span.queries; };
  std::int64_t all = 0;
  for (const SharedSpan& span : spans) all += cost(span) * cut.kv_heads * blocks(span);
  const std::int64_t first = all * params.ith / params.nth, last = all * (params.ith + 1) / params.nth;
  std::vector<Piece> share;
  share.reserve(spans.size() * cut.kv_heads);
  std::int64_t at = 0;
  for (const SharedSpan& span : spans) {
    for (int kv_head = 0; kv_head < cut.kv_heads; ++kv_head) {
      for (int block = 0; block < blocks(span); ++block, at += cost(span)) {
        if (at >= first && at < last) share.push_back({&span, kv_head, block});
      }
    }
  }
  return share;
}

void AttendBySpan(const ggml_tensor* op, const Cut& cut, const std::vector<Piece>& share, float* scratch, float* partials) {
  float* states = scratch + cut.kernel.scratch_size();
  for (std::size_t i = 0; i < share.size(); ++i) {
    const auto [span, kv_head, block] = share[i];
    const std::uint16_t* next_keys = nullptr;
    if (i + 1 < share.size()) {
      const Piece& next = share[i + 1];
      next_keys = RowOf(op->src[1], next.span->stream, next.kv_head, std::int64_t{next.span->span} * kAttentionSpan);
    }
    Queries queries;
    for (int r = 0; r < span->count; ++r) queries.Add(op, cut, cut.runs[span->runs[r]], block, kv_head);
    const auto place = [&, number = span->span, head = kv_head, part = block](const Run& run) {
      return partials + cut.partial(run, head * run.blocks + part, number);
    };
    if (span->count == 1) {
      queries.Attend(op, cut, span->stream, kv_head, span->span, next_keys, scratch, place(cut.runs[span->runs[0]]));
      continue;
    }
    queries.Attend(op, cut, span->stream, kv_head, span->span, next_keys, scratch, states);
    const float* from = states;
    for (int r = 0; r < span->count; ++r) {
      const Run& run = cut.runs[span->runs[r]];
      std::copy_n(from, cut.states(run), place(run));
      from += cut.states(run);
    }
  }
}

// All spans that a unit sees.
void FinishUnit(const ggml_tensor* op, const Cut& cut, const Run& run, int unit, std::span<const SeenSpan> spans, float* scratch,
                const float* partials) {
  Queries queries;
  queries.Add(op, cut, run, unit % run.blocks, unit / run.blocks);
  float* states = scratch + cut.kernel.scratch_size();
  float* totals = states + kMostAttentionQueries * cut.kernel.state_size();
  std::fill_n(totals, cut.states(run), -std::numeric_limits<float>::infinity());
  for (const SeenSpan& seen : spans) {
    if (!run.by_span) queries.Attend(op, cut, seen.stream, unit / run.blocks, seen.span, nullptr, scratch, states);
    cut.kernel.Combine(run.by_span ? partials + cut.partial(run, unit, seen.span) : states, queries.count, totals);
  }
  for (int q = 0; q < queries.count; ++q) cut.kernel.Finish(totals + q * cut.kernel.state_size(), queries.outputs[q]);
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
    size = Cut(op, threads).work_bytes(threads);
    return true;
  }

  bool compute_forward(ggml_compute_params* params, ggml_tensor* op) override {
    const Cut cut(op, params->nth);
    assert(cut.work_bytes(params->nth) <= params->wsize);
    float* work = static_cast<float*>(params->wdata);
    float* scratch = work + params->ith * cut.scratch();
    float* partials = work + params->nth * cut.scratch();
    const std::vector<SeenSpan> seen = SeenSpans(op, cut);
    if (cut.partials > 0) {
      const std::vector<SharedSpan> spans = SharedSpans(op, cut, seen, params->nth);
      AttendBySpan(op, cut, ShareOfPieces(cut, spans, *params), scratch, partials);
      ggml_barrier(params->threadpool);
    }
    int turn = 0;  // units go to the threads by turns
    for (int number = 0; number < static_cast<int>(cut.runs.size()); ++number) {
      const auto spans = std::ranges::equal_range(seen, number, {}, &SeenSpan::run);
      for (int unit = 0; unit < cut.units(cut.runs[number]); ++unit, ++turn) {
        if (turn % params->nth == params->ith) FinishUnit(op, cut, cut.runs[number], unit, spans, scratch, partials);
      }
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
