#include "engine/llamacpp/attention_plan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "engine/llamacpp/stream_origins.h"
#include "engine/llamacpp/tensor_address.h"

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

// The index of the cell into which a row's own key is written, where rows of several streams stand in one plane; else null.
const std::int64_t* CellsOfRows(const ggml_tensor* op) {
  return op->src[kCellsOfRows] == nullptr ? nullptr : static_cast<const std::int64_t*>(op->src[kCellsOfRows]->data);
}

const StreamOrigins* OriginsOf(const ggml_tensor* op) {
  return op->src[kCellsOfRows] == nullptr ? nullptr : static_cast<const StreamOrigins*>(op->src[kCellsOfRows]->extra);
}

int SpansOf(std::int64_t cells) { return static_cast<int>((cells + kAttentionSpan - 1) / kAttentionSpan); }

// Cells of a stream are filled in the order of positions, so a row sees none behind its own.
std::vector<AttentionRun> RunsOf(const ggml_tensor* op) {
  const int rows = static_cast<int>(op->src[0]->ne[1]);
  const int planes = static_cast<int>(op->src[0]->ne[3]);
  const ggml_tensor* key = op->src[1];
  const std::int64_t* cells = CellsOfRows(op);
  std::vector<AttentionRun> runs;
  if (cells == nullptr) {
    const int spans = SpansOf(key->ne[1]);
    for (int plane = 0; plane < planes; ++plane) runs.push_back({.plane = plane, .rows = rows, .stream = plane, .spans = spans});
    return runs;
  }
  const auto cells_of_stream = static_cast<std::int64_t>(key->nb[3] / key->nb[1]);
  for (int row = 0; row < rows; ++row) {
    const int stream = static_cast<int>(cells[row] / cells_of_stream);
    if (runs.empty() || runs.back().stream != stream) runs.push_back({.first_row = row, .stream = stream});
    ++runs.back().rows;
    runs.back().spans = std::max(runs.back().spans, SpansOf(cells[row] % cells_of_stream + 1));
  }
  return runs;
}

// Whether any row of a run sees a position of a span.
bool IsSeen(const ggml_tensor* op, const AttentionRun& run, int span) {
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

}  // namespace

std::array<float, 3> FloatParameters(const ggml_tensor* op) {
  std::array<float, 3> parameters;
  std::memcpy(parameters.data(), op->op_params, sizeof parameters);
  return parameters;
}

AttentionPlan::AttentionPlan(const ggml_tensor* op, int threads)
    : kernel(static_cast<int>(op->src[1]->ne[0]), static_cast<int>(op->src[2]->ne[0]), FloatParameters(op)[0]),
      kv_heads(static_cast<int>(op->src[1]->ne[2])),
      heads_per_kv_head(static_cast<int>(op->src[0]->ne[2]) / kv_heads),
      spans(SpansOf(op->src[1]->ne[1])),
      runs(RunsOf(op)) {
  int units_of_many = 0;
  for (AttentionRun& run : runs) {
    const auto split = [&run](int parts) { return (run.rows + parts - 1) / parts; };
    run.blocks = split(kMostAttentionQueries / heads_per_kv_head);
    run.rows_per_block = split(run.blocks);
    if (queries(run) > kFewQueries) units_of_many += units(run);
  }
  const bool has_few_units = threads > 1 && units_of_many < kUnitsPerThread * threads;
  for (AttentionRun& run : runs) {
    const std::size_t floats = static_cast<std::size_t>(units(run)) * spans * states(run);
    run.by_span = spans > 1 && (has_few_units || queries(run) <= kFewQueries) && partials + floats <= kMostPartialFloats;
    run.partials = partials;
    if (run.by_span) partials += floats;
  }
}

std::vector<SeenSpan> SeenSpans(const ggml_tensor* op, const AttentionPlan& plan) {
  const StreamOrigins* origins = OriginsOf(op);
  std::vector<SeenSpan> seen;
  seen.reserve(plan.runs.size() * plan.spans);
  for (int number = 0; number < static_cast<int>(plan.runs.size()); ++number) {
    const AttentionRun& run = plan.runs[number];
    for (int span = 0; span < run.spans; ++span) {
      if (!IsSeen(op, run, span)) continue;
      const int stream = origins == nullptr ? run.stream : origins->SourceOf(run.stream, (span + 1) * kAttentionSpan);
      seen.push_back({number, span, stream});
    }
  }
  return seen;
}

std::vector<SharedSpan> SharedSpans(const ggml_tensor* op, const AttentionPlan& plan, const std::vector<SeenSpan>& seen, int threads) {
  const StreamOrigins* origins = OriginsOf(op);
  const bool may_share = origins != nullptr && !origins->empty();
  // So many queries at once that the pieces of one span are enough for all threads.
  const int most = std::clamp(kMostAttentionQueries * plan.kv_heads / threads, kFewQueries, kMostAttentionQueries);
  std::vector<SharedSpan> spans;
  spans.reserve(seen.size());
  std::map<std::pair<int, int>, std::size_t> last;  // in `spans`, by stream and span
  for (const auto& [number, span, stream] : seen) {
    const AttentionRun& run = plan.runs[number];
    if (!run.by_span) continue;
    if (may_share && run.blocks == 1) {
      const auto [place, is_new] = last.try_emplace({stream, span}, spans.size());
      if (!is_new && spans[place->second].queries + plan.queries(run) <= most) {
        spans[place->second].Add(number, plan.queries(run));
        continue;
      }
      place->second = spans.size();
    }
    spans.emplace_back(span, stream).Add(number, plan.queries(run));
  }
  return spans;
}

std::vector<AttentionPiece> ShareOfPieces(const AttentionPlan& plan, const std::vector<SharedSpan>& spans, int thread, int threads) {
  const auto blocks = [&plan](const SharedSpan& span) { return plan.runs[span.runs[0]].blocks; };
  const auto cost = [](const SharedSpan& span) { return std::int64_t{kReadCost} + span.queries; };
  std::int64_t all = 0;
  for (const SharedSpan& span : spans) all += cost(span) * plan.kv_heads * blocks(span);
  const std::int64_t first = all * thread / threads, last = all * (thread + 1) / threads;
  std::vector<AttentionPiece> share;
  share.reserve(spans.size() * plan.kv_heads);
  std::int64_t at = 0;
  for (const SharedSpan& span : spans) {
    for (int kv_head = 0; kv_head < plan.kv_heads; ++kv_head) {
      for (int block = 0; block < blocks(span); ++block, at += cost(span)) {
        if (at >= first && at < last) share.push_back({&span, kv_head, block});
      }
    }
  }
  return share;
}

}  // namespace cllm
