#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/instruction_sets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace cllm::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using F16 = hn::Rebind<hwy::float16_t, F32>;
using Vec = hn::Vec<F32>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(F32()));
constexpr int kVirtualLanes = 16;
// Of positions, or dimensions, that are summed at once for up to kBlockQueries queries: what the registers hold.
constexpr int kBlockVectors = HWY_TARGET == HWY_AVX2 ? 2 : 4;
constexpr int kBlockLanes = kBlockVectors * kLanes;
constexpr int kBlockQueries = 6;
constexpr int kTile = kAttentionTile;
constexpr int kLineElements = 32;  // F16s of a cache line
constexpr float kHidden = -std::numeric_limits<float>::infinity();
static_assert(!HWY_HAVE_SCALABLE && kVirtualLanes % kLanes == 0 && kTile % kBlockLanes == 0 && kAttentionSpan % kTile == 0);

HWY_INLINE Vec LoadF16(const std::uint16_t* from) {
  return hn::PromoteTo(F32(), hn::LoadU(F16(), reinterpret_cast<const hwy::float16_t*>(from)));
}

// The first `count` of them, and zeros.
HWY_INLINE Vec LoadF16(const std::uint16_t* from, int count) {
  if (count == kLanes) return LoadF16(from);
  return hn::PromoteTo(F32(), hn::LoadN(F16(), reinterpret_cast<const hwy::float16_t*>(from), static_cast<std::size_t>(count)));
}

// Keys and values of positions lie so far apart that processors don't fetch them by themselves. So a tile's are asked for line by
// line beside other work, a tile's keys while those before are turned and its values while it is scored: all at once they would
// wait for each other.
class FetchOfTile {
 public:
  // `size` elements of each row.
  FetchOfTile(const std::uint16_t* rows, std::ptrdiff_t stride, int size) : row_(rows), stride_(stride), size_(size) {}

  // For one of `size` steps: kTile positions have two lines for each 64 elements. Harmless where nothing lies there.
  HWY_INLINE void Step() {
    hwy::Prefetch(row_ + at_);
    hwy::Prefetch(row_ + at_ + kLineElements);
    at_ += 2 * kLineElements;
    if (at_ >= size_) {
      at_ = 0;
      row_ += stride_;
    }
  }

 private:
  const std::uint16_t* row_;
  std::ptrdiff_t stride_;
  int size_;
  int at_ = 0;
};

// exp(x) for x <= 0, to within 2 units in the last place; 0 below -87; of NaN NaN. Reduction by multiples of ln 2 in two parts
// (Cody and Waite, Software Manual for the Elementary Functions, chapter 6), then the polynomial of degree 5 with the least relative
// error on [-ln 2 / 2, ln 2 / 2] among those that begin with 1 + r: 1.05e-7 (Remez's algorithm).
HWY_INLINE Vec ExpOfNegative(Vec x) {
  const F32 d;
  const hn::RebindToUnsigned<F32> du;
  const auto is_nothing = hn::Lt(x, hn::Set(d, -87.0F));
  // Beyond 2^23 floats are whole numbers: the sum rounds to n + 127 and has it in its last bits, where a power's exponent belongs
  // once they are shifted. What is wrong below -87 is masked.
  const Vec shift = hn::Set(d, 0x1.8p23F + 127);
  const Vec shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341F), shift);
  const Vec power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(du, shifted)));
  const Vec n = hn::Sub(shifted, shift);
  Vec r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e400p-1F), x);
  r = hn::NegMulAdd(n, hn::Set(d, 0x1.7f7d1cp-20F), r);
  Vec sum = hn::Set(d, 0x1.106282p-7F);
  for (const float coefficient : {0x1.5729f2p-5F, 0x1.5557aep-3F, 0x1.fffdfcp-2F, 1.0F, 1.0F}) {
    sum = hn::MulAdd(sum, r, hn::Set(d, coefficient));
  }
  return hn::IfThenZeroElse(is_nothing, hn::Mul(sum, power));
}

HWY_INLINE float ExpOfNegative(float x) { return hn::GetLane(ExpOfNegative(hn::Set(F32(), x))); }

using U16 = hn::CappedTag<std::uint16_t, kLineElements>;

// Turns dimensions of the keys of 8 positions, as many as D has lanes and 8 in each 128-bit block, in three steps of interleaving:
// turned[dimension * kTile + position]. Of positions from `there` on there are zeros.
template <class D>
HWY_INLINE void TurnBlock(D d16, const std::uint16_t* keys, std::ptrdiff_t key_stride, int there, std::uint16_t* turned) {
  const hn::Repartition<std::uint32_t, D> d32;
  const hn::Repartition<std::uint64_t, D> d64;
  const hn::Full128<std::uint16_t> d_block;
  using V16 = hn::Vec<D>;
  const auto row = [&](int i) HWY_ATTR -> V16 { return i < there ? hn::LoadU(d16, keys + i * key_stride) : hn::Zero(d16); };
  const auto write = [&](int i, auto pair) HWY_ATTR {
    const V16 v = hn::BitCast(d16, pair);
    [&]<int... kBlock>(std::integer_sequence<int, kBlock...>) HWY_ATTR {
      (hn::StoreU(hn::ExtractBlock<kBlock>(v), d_block, turned + (8 * kBlock + i) * kTile), ...);
    }(std::make_integer_sequence<int, static_cast<int>(hn::MaxLanes(d16)) / 8>());
  };
  const V16 r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3), r4 = row(4), r5 = row(5), r6 = row(6), r7 = row(7);
  const auto low = [&](V16 a, V16 b) HWY_ATTR { return hn::BitCast(d32, hn::InterleaveLower(d16, a, b)); };
  const auto high = [&](V16 a, V16 b) HWY_ATTR { return hn::BitCast(d32, hn::InterleaveUpper(d16, a, b)); };
  // Half of the dimensions at a time.
  const auto half = [&](int from, auto p01, auto p23, auto p45, auto p67) HWY_ATTR {
    const auto a = hn::BitCast(d64, hn::InterleaveLower(d32, p01, p23));
    const auto b = hn::BitCast(d64, hn::InterleaveLower(d32, p45, p67));
    const auto c = hn::BitCast(d64, hn::InterleaveUpper(d32, p01, p23));
    const auto e = hn::BitCast(d64, hn::InterleaveUpper(d32, p45, p67));
    write(from, hn::InterleaveLower(d64, a, b));
    write(from + 1, hn::InterleaveUpper(d64, a, b));
    write(from + 2, hn::InterleaveLower(d64, c, e));
    write(from + 3, hn::InterleaveUpper(d64, c, e));
  };
  half(0, low(r0, r1), low(r2, r3), low(r4, r5), low(r6, r7));
  half(4, high(r0, r1), high(r2, r3), high(r4, r5), high(r6, r7));
}

// Turns the keys of up to kTile positions, those that are missing into zeros. Asks for the keys to come meanwhile.
void TurnKeys(const AttentionSpan& span, int first, int key_size, std::uint16_t* turned, FetchOfTile& keys_to_come) {
  const hn::CappedTag<std::uint16_t, kLineElements> wide;
  const hn::Full128<std::uint16_t> narrow;
  constexpr int kWide = static_cast<int>(hn::MaxLanes(wide));
  for (int position = 0; position < kTile; position += 8) {
    const int there = std::clamp(span.positions - first - position, 0, 8);
    const std::uint16_t* keys = span.keys + (first + position) * span.key_stride;
    const auto turn = [&](auto d, int dimension) HWY_ATTR {
      for (std::size_t i = 0; i < hn::Lanes(d); i += 8) keys_to_come.Step();
      TurnBlock(d, keys + dimension, span.key_stride, there, turned + dimension * kTile + position);
    };
    int dimension = 0;
    for (; dimension + kWide <= key_size; dimension += kWide) turn(wide, dimension);
    for (; dimension < key_size; dimension += 8) turn(narrow, dimension);
  }
}

// Scores of `Queries` queries over a tile of turned keys, kAttentionSpan floats apart. Asks for the values to come meanwhile.
template <int Queries>
void ScoreTile(const AttentionQuery* queries, const std::uint16_t* turned, int key_size, float scale, float* scores,
               FetchOfTile& values_to_come) {
  const F32 d;
  for (int position = 0; position < kTile; position += kBlockLanes) {
    Vec sums[Queries][kBlockVectors];
    for (auto& row : sums) {
      for (Vec& sum : row) sum = hn::Zero(d);
    }
    for (int dimension = 0; dimension < key_size; ++dimension) {
      values_to_come.Step();
      Vec keys[kBlockVectors];
      for (int v = 0; v < kBlockVectors; ++v) keys[v] = LoadF16(turned + dimension * kTile + position + v * kLanes);
      for (int q = 0; q < Queries; ++q) {
        const Vec element = hn::Set(d, queries[q].query[dimension]);
        for (int v = 0; v < kBlockVectors; ++v) sums[q][v] = hn::MulAdd(element, keys[v], sums[q][v]);
      }
    }
    for (int q = 0; q < Queries; ++q) {
      for (int v = 0; v < kBlockVectors; ++v) {
        hn::StoreU(hn::Mul(sums[q][v], hn::Set(d, scale)), d, scores + q * kAttentionSpan + position + v * kLanes);
      }
    }
  }
}

// Adds the weighted values of `Queries` queries into their states, dimensions [first, first + Vectors * kLanes).
template <int Queries, int Vectors>
void WeighValues(const AttentionSpan& span, std::span<const std::uint16_t> live, const float* weights, int first, std::ptrdiff_t state_size,
                 float* states) {
  const F32 d;
  Vec sums[Queries][Vectors];
  for (auto& row : sums) {
    for (Vec& sum : row) sum = hn::Zero(d);
  }
  for (const int position : live) {
    const std::uint16_t* row = span.values + position * span.value_stride + first;
    Vec values[Vectors];
    for (int v = 0; v < Vectors; ++v) values[v] = LoadF16(row + v * kLanes);
    for (int q = 0; q < Queries; ++q) {
      const Vec weight = hn::Set(d, weights[q * kAttentionSpan + position]);
      for (int v = 0; v < Vectors; ++v) sums[q][v] = hn::MulAdd(weight, values[v], sums[q][v]);
    }
  }
  for (int q = 0; q < Queries; ++q) {
    for (int v = 0; v < Vectors; ++v) {
      hn::StoreU(sums[q][v], d, states + q * state_size + kAttentionValues + first + v * kLanes);
    }
  }
}

template <int Queries>
void WeighAllValues(const AttentionSpan& span, std::span<const std::uint16_t> live, const float* weights, int value_size, float* states) {
  const int state_size = AttentionStateSize(value_size);
  int first = 0;
  for (; first + kBlockLanes <= value_size; first += kBlockLanes) {
    WeighValues<Queries, kBlockVectors>(span, live, weights, first, state_size, states);
  }
  for (; first < value_size; first += kVirtualLanes) {
    WeighValues<Queries, kVirtualLanes / kLanes>(span, live, weights, first, state_size, states);
  }
}

// Calls work<n>(first) for blocks of n queries that make up `count`.
template <int Queries = kBlockQueries, typename Work>
HWY_INLINE void InBlocks(int count, const Work& work, int first = 0) {
  for (; count - first >= Queries; first += Queries) work.template operator()<Queries>(first);
  if constexpr (Queries > 1) InBlocks<Queries - 1>(count, work, first);
}

// The positions that any query sees, in order.
std::span<const std::uint16_t> LivePositions(int positions, std::span<const AttentionQuery> queries, std::uint16_t* live) {
  const hn::CappedTag<std::uint16_t, kTile> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto hidden = hn::Set(d, kAttentionHidden);
  HWY_ALIGN std::uint16_t seen[kAttentionSpan] = {};  // 0: by no query
  const std::uint16_t* last = nullptr;                // the heads of a row share its mask
  for (const AttentionQuery& query : queries) {
    if (query.mask == nullptr) {
      std::fill_n(seen, positions, std::uint16_t{1});
      break;
    }
    if (query.mask == last) continue;
    last = query.mask;
    int position = 0;
    for (; position + lanes <= positions; position += lanes) {
      const auto here = hn::Xor(hn::LoadU(d, query.mask + position), hidden);
      hn::Store(hn::Or(hn::Load(d, seen + position), here), d, seen + position);
    }
    for (; position < positions; ++position) seen[position] |= query.mask[position] ^ kAttentionHidden;
  }
  std::size_t count = 0;
  for (int position = 0; position < positions; ++position) {
    live[count] = static_cast<std::uint16_t>(position);
    count += seen[position] != 0 ? 1 : 0;
  }
  return {live, count};
}

// Whether the mask, which may be null, changes no score at [first, last), and all of these positions are there.
bool IsPlain(const std::uint16_t* mask, int positions, int first, int last) {
  if (last > positions) return false;
  if (mask == nullptr) return true;
  const U16 d;
  auto bits = hn::Zero(d);
  for (int position = first; position < last; position += static_cast<int>(hn::Lanes(d))) {
    bits = hn::Or(bits, hn::LoadU(d, mask + position));
  }
  return hn::AllTrue(d, hn::Eq(bits, hn::Zero(d)));
}

// Masks the scores of one query at [first, last). Keys that are hidden may hold anything, NaN too, so their scores are replaced and
// never used.
void MaskScores(const AttentionQuery& query, int positions, int first, int last, float* scores) {
  const F32 d;
  for (int position = first; position < last; position += kLanes) {
    const int there = std::clamp(positions - position, 0, kLanes);
    Vec score = hn::LoadU(d, scores + position);
    if (query.mask != nullptr) {
      const Vec mask = LoadF16(query.mask + position, there);
      score = hn::IfThenElse(hn::Eq(mask, hn::Set(d, kHidden)), mask, hn::Add(score, mask));
    }
    score = hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(there)), score, hn::Set(d, kHidden));
    hn::StoreU(score, d, scores + position);
  }
}

// The highest score at [first, last); one that is NaN counts only where there is nothing else.
float HighestScore(int first, int last, const float* scores) {
  const F32 d;
  constexpr int kVectors = kVirtualLanes / kLanes;
  Vec most[kVectors];
  for (Vec& vector : most) vector = hn::Set(d, kHidden);
  for (int position = first; position < last; position += kVirtualLanes) {
    for (int v = 0; v < kVectors; ++v) {
      const Vec score = hn::LoadU(d, scores + position + v * kLanes);
      most[v] = hn::IfThenElse(hn::Lt(most[v], score), score, most[v]);
    }
  }
  HWY_ALIGN float lanes[kVirtualLanes];
  for (int v = 0; v < kVectors; ++v) hn::Store(most[v], d, lanes + v * kLanes);
  float highest = *std::max_element(lanes, lanes + kVirtualLanes);
  for (int position = first; highest == kHidden && position < last; ++position) {
    if (std::isnan(scores[position])) highest = scores[position];
  }
  return highest;
}

// Turns the scores of one query at [first, last), whole tiles, into exponentials, and writes the first two numbers of its state: all
// other positions are hidden and would add zeros.
void Exponentials(const AttentionQuery& query, int positions, int first, int last, float* scores, float* state) {
  if (!IsPlain(query.mask, positions, first, last)) MaskScores(query, positions, first, last, scores);
  const float highest = HighestScore(first, last, scores);
  state[kAttentionMax] = highest;
  if (highest == kHidden) return;

  const F32 d;
  HWY_ALIGN float lanes[kVirtualLanes];
  constexpr int kSums = kVirtualLanes / kLanes;
  Vec sums[kSums];
  for (Vec& sum : sums) sum = hn::Zero(d);
  for (int position = first; position < last; position += kVirtualLanes) {
    for (int s = 0; s < kSums; ++s) {
      float* at = scores + position + s * kLanes;
      const Vec exponential = ExpOfNegative(hn::Sub(hn::LoadU(d, at), hn::Set(d, highest)));
      hn::StoreU(exponential, d, at);
      sums[s] = hn::Add(sums[s], exponential);
    }
  }
  for (int s = 0; s < kSums; ++s) hn::Store(sums[s], d, lanes + s * kLanes);
  for (int width = kVirtualLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  state[kAttentionSum] = lanes[0];
}

void Attend(const AttentionSpan& span, std::span<const AttentionQuery> queries, int key_size, int value_size, float scale, float* scratch,
            float* states) {
  const int count = static_cast<int>(queries.size());
  const int state_size = AttentionStateSize(value_size);
  float* scores = scratch;
  auto* turned = reinterpret_cast<std::uint16_t*>(scratch + kMostAttentionQueries * kAttentionSpan);
  std::uint16_t live_positions[kAttentionSpan];
  const auto live = LivePositions(span.positions, queries, live_positions);
  if (live.empty()) {
    for (int q = 0; q < count; ++q) states[q * state_size + kAttentionMax] = kHidden;
    return;
  }
  // Tiles before and behind the live positions are not looked at.
  const int first_live = live.front() / kTile * kTile, last_live = (live.back() / kTile + 1) * kTile;
  for (int tile = first_live; tile < last_live; tile += kTile) {
    const bool is_last = tile + kTile >= last_live;
    FetchOfTile keys_to_come(is_last && span.next_keys != nullptr ? span.next_keys : span.keys + (tile + kTile) * span.key_stride,
                             span.key_stride, key_size);
    FetchOfTile values_to_come(span.values + tile * span.value_stride, span.value_stride, value_size);
    TurnKeys(span, tile, key_size, turned, keys_to_come);
    InBlocks(count, [&]<int Queries>(int first) HWY_ATTR {
      ScoreTile<Queries>(&queries[first], turned, key_size, scale, scores + first * kAttentionSpan + tile, values_to_come);
    });
  }
  for (int q = 0; q < count; ++q) {
    Exponentials(queries[q], span.positions, first_live, last_live, scores + q * kAttentionSpan, states + q * state_size);
  }
  InBlocks(count, [&]<int Queries>(int first) HWY_ATTR {
    WeighAllValues<Queries>(span, live, scores + first * kAttentionSpan, value_size, states + first * state_size);
  });
}

void Combine(const float* states, int count, int value_size, float* totals) {
  const F32 d;
  for (int q = 0; q < count; ++q, states += AttentionStateSize(value_size), totals += AttentionStateSize(value_size)) {
    if (states[kAttentionMax] == kHidden) continue;
    if (totals[kAttentionMax] == kHidden) {
      std::copy_n(states, AttentionStateSize(value_size), totals);
      continue;
    }
    const float highest = totals[kAttentionMax] < states[kAttentionMax] ? states[kAttentionMax] : totals[kAttentionMax];
    const float keep = ExpOfNegative(totals[kAttentionMax] - highest);
    const float add = ExpOfNegative(states[kAttentionMax] - highest);
    totals[kAttentionMax] = highest;
    totals[kAttentionSum] = totals[kAttentionSum] * keep + states[kAttentionSum] * add;
    for (int i = 0; i < value_size; i += kLanes) {
      float* total = totals + kAttentionValues + i;
      const Vec kept = hn::Mul(hn::LoadU(d, total), hn::Set(d, keep));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, states + kAttentionValues + i), hn::Set(d, add), kept), d, total);
    }
  }
}

}  // namespace
}  // namespace cllm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cllm {
namespace {

HWY_EXPORT(Attend);
HWY_EXPORT(Combine);

}  // namespace

bool AttentionKernel::IsFast() { return FastInstructionSets() != 0; }

std::size_t AttentionKernel::scratch_size() const {
  return static_cast<std::size_t>(kMostAttentionQueries * kAttentionSpan + key_size_ * kAttentionTile / 2);
}

void AttentionKernel::Attend(const AttentionSpan& span, std::span<const AttentionQuery> queries, float* scratch, float* states) const {
  HWY_DYNAMIC_DISPATCH(Attend)(span, queries, key_size_, value_size_, scale_, scratch, states);
}

void AttentionKernel::Combine(const float* states, int count, float* totals) const {
  HWY_DYNAMIC_DISPATCH(Combine)(states, count, value_size_, totals);
}

void AttentionKernel::Finish(const float* total, float* output) const {
  if (total[kAttentionMax] == -std::numeric_limits<float>::infinity()) {
    std::fill_n(output, value_size_, 0.0F);
    return;
  }
  const float factor = 1.0F / total[kAttentionSum];
  for (int i = 0; i < value_size_; ++i) output[i] = total[kAttentionValues + i] * factor;
}

}  // namespace cllm
#endif  // HWY_ONCE
