// How one attention operation of ggml is cut into pieces of work for threads.
//
// Each thread makes the same plan from the same tensors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <ggml.h>

#include "kernels/attention.h"

namespace cllm {

// The source of an operation that says where its rows belong, if it has one (attention_op.h).
inline constexpr int kCellsOfRows = 5;

// Scale, bias by position, soft cap.
std::array<float, 3> FloatParameters(const ggml_tensor* op);

// Rows that attend over one stream of keys and values, in blocks. A unit is a block of all query heads that share a KV head.
struct AttentionRun {
  int plane = 0;  // of queries, mask and results
  int first_row = 0;
  int rows = 0;
  int stream = 0;  // of keys and values
  int spans = 0;   // of the stream, that it may see
  int blocks = 0;
  int rows_per_block = 0;
  bool by_span = false;      // every span of a unit is a piece of work, not the whole unit
  std::size_t partials = 0;  // where the states of its pieces begin, in floats
};

// By span where there are few queries in a unit, or few units of many.
struct AttentionPlan {
  AttentionKernel kernel;
  int kv_heads, heads_per_kv_head, spans;
  std::vector<AttentionRun> runs;
  std::size_t partials = 0;  // floats of all pieces

  // `op` is a GGML_OP_FLASH_ATTN_EXT.
  AttentionPlan(const ggml_tensor* op, int threads);

  int units(const AttentionRun& run) const { return run.blocks * kv_heads; }
  int queries(const AttentionRun& run) const { return heads_per_kv_head * run.rows_per_block; }
  std::size_t states(const AttentionRun& run) const { return static_cast<std::size_t>(queries(run)) * kernel.state_size(); }
  // Where the states of a piece lie.
  std::size_t partial(const AttentionRun& run, int kv_head, int block, int span) const {
    return run.partials + (static_cast<std::size_t>(kv_head * run.blocks + block) * spans + span) * states(run);
  }
  // Floats of each thread: the kernel's, states of a piece and totals of a unit.
  std::size_t scratch() const { return kernel.scratch_size() + std::size_t{2} * kMostAttentionQueries * kernel.state_size(); }
  std::size_t work_bytes(int threads) const { return sizeof(float) * (threads * scratch() + partials); }
};

struct SeenSpan {
  int run, span;
  int stream;  // where it is read
};

// Spans of which any row of a run sees a position, in the order of runs, then of spans.
std::vector<SeenSpan> SeenSpans(const ggml_tensor* op, const AttentionPlan& plan);

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

// Of the runs that are cut by span.
std::vector<SharedSpan> SharedSpans(const ggml_tensor* op, const AttentionPlan& plan, const std::vector<SeenSpan>& seen, int threads);

struct AttentionPiece {
  const SharedSpan* span;
  int kv_head, block;
};

// The share of thread `thread` of `threads`. Each takes neighbours, all heads of a span, then those of the stream's next: it reads
// memory from end to end. (Threads that take pieces by turns were 1.7 times as slow with one row; with whole units by turns a step of
// four or sixteen streams took 1.1 times as long.)
std::vector<AttentionPiece> ShareOfPieces(const AttentionPlan& plan, const std::vector<SharedSpan>& spans, int thread, int threads);

}  // namespace cllm
