// Attention of a few queries over a span of keys and values in 16-bit floats, and how spans combine.
//
// A softmax over many positions is computed span by span: each gives the maximum of its scores, the sum of their exponentials
// and the values weighted by these, relative to its own maximum; two such states combine into one (M. Milakov, N. Gimelshein
// 2018, "Online normalizer calculation for softmax"; T. Dao 2022, "FlashAttention", algorithm 1).
//
// Every operation has one order, whatever is computed beside it: a lane of a vector is a position (scores) or a dimension
// (values), so a sum never crosses lanes but in the sum of the exponentials, which has 16 lanes and one tree on every
// instruction set. Spans begin at multiples of kAttentionSpan and are combined in their order. So with finite values a query's
// result has the same bytes with every number of queries, threads and lanes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cllm {

inline constexpr int kAttentionSpan = 256;                 // positions
inline constexpr int kAttentionTile = 64;                  // positions whose keys are turned together
inline constexpr int kMostAttentionQueries = 64;           // of one call
inline constexpr int kMostAttentionHead = 256;             // elements of a key and of a value
inline constexpr std::uint16_t kAttentionHidden = 0xFC00;  // in a mask: -inf

// What queries attend over: at most kAttentionSpan positions of one KV head.
struct AttentionSpan {
  int positions = 0;
  const std::uint16_t* keys = nullptr;    // F16, key_size elements of each position, key_stride elements apart
  const std::uint16_t* values = nullptr;  // F16, likewise
  std::ptrdiff_t key_stride = 0;
  std::ptrdiff_t value_stride = 0;
  // Keys that the caller will attend to next, as far apart as these: they are fetched ahead. Or null.
  const std::uint16_t* next_keys = nullptr;
};

struct AttentionQuery {
  const float* query = nullptr;         // key_size elements
  const std::uint16_t* mask = nullptr;  // F16, one for each position: added to its score, -inf hides it; null hides none
};

// The state of a query: two numbers and its weighted values.
inline constexpr int kAttentionMax = 0, kAttentionSum = 1, kAttentionValues = 2;
constexpr int AttentionStateSize(int value_size) { return kAttentionValues + value_size; }

class AttentionKernel {
 public:
  // Sizes of a head's keys and values, in elements; `scale` multiplies each score.
  AttentionKernel(int key_size, int value_size, float scale) : key_size_(key_size), value_size_(value_size), scale_(scale) {}

  // Whether this processor has what it takes (fused multiply-add and conversion of 16-bit floats).
  static bool IsFast();

  // Keys in eights, values in sixteens, up to kMostAttentionHead.
  static constexpr bool Takes(std::int64_t key_size, std::int64_t value_size) {
    return key_size > 0 && value_size > 0 && key_size % 8 == 0 && value_size % 16 == 0 && key_size <= kMostAttentionHead &&
           value_size <= kMostAttentionHead;
  }

  int state_size() const { return AttentionStateSize(value_size_); }

  // Floats that Attend needs to work in; any of its calls may share them.
  std::size_t scratch_size() const;

  // Writes the states of at most kMostAttentionQueries queries, state_size() floats each; a state that saw no position has
  // -inf for its maximum and nothing else that means anything. Positions that no query of the call sees may hold anything, NaN
  // too; of one that another query sees the values, which are weighted by 0, must be finite.
  void Attend(const AttentionSpan& span, std::span<const AttentionQuery> queries, float* scratch, float* states) const;

  // Combines `states` of consecutive spans into `totals`; a total begins with -inf for its maximum.
  void Combine(const float* states, int count, float* totals) const;

  // The values' weighted mean; zeros where no position was seen.
  void Finish(const float* total, float* output) const;

 private:
  int key_size_;
  int value_size_;
  float scale_;
};

}  // namespace cllm
