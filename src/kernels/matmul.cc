#include "kernels/matmul.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/invariant.h"
#include "kernels/instruction_sets.h"
#include "kernels/matmul_layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace cllm::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, kMatmulLanes>;
using I32 = hn::RebindToSigned<F32>;
using F16 = hn::Rebind<hwy::float16_t, F32>;
using U8 = hn::Repartition<std::uint8_t, F32>;
using U16 = hn::Repartition<std::uint16_t, F32>;
using I16 = hn::Repartition<std::int16_t, F32>;
using I8 = hn::Repartition<std::int8_t, F32>;
using Floats = hn::Vec<F32>;
using Ints = hn::Vec<I32>;
using Codes = hn::Vec<U8>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(F32()));
constexpr int kVectorBytes = 4 * kLanes;
constexpr int kVectors = kMatmulLanes / kLanes;  // of a strip
constexpr int kQuads = 8;
// Rows that one pass over a strip's codes multiplies: what the registers hold.
constexpr int kBlockRows = HWY_TARGET == HWY_AVX2 ? 4 : 8;
// Rows whose quantised inputs stay in the caches while all strips pass by.
constexpr int kPassRows = 64;
constexpr int kAheadBytes = 4096;
static_assert(kMatmulLanes % kLanes == 0);

HWY_INLINE Floats LoadHalves(const std::byte* from) {
  return hn::PromoteTo(F32(), hn::LoadU(F16(), reinterpret_cast<const hwy::float16_t*>(from)));
}

// Four bytes, or two 16-bit integers, in each lane.
HWY_INLINE Ints BroadcastInt(const std::byte* from) {
  std::int32_t value;
  std::memcpy(&value, from, sizeof value);
  return hn::Set(I32(), value);
}

HWY_INLINE Floats BroadcastFloat(const std::byte* from) { return hn::BitCast(F32(), BroadcastInt(from)); }

// Bits kBit and up of each byte, moved to bits 4 and up; those that kMask has.
template <int kBit, int kMask>
HWY_INLINE Codes HighBits(Codes plane) {
  const auto wide = hn::BitCast(U16(), plane);
  if constexpr (kBit < 4) {
    return hn::And(hn::BitCast(U8(), hn::ShiftLeft<4 - kBit>(wide)), hn::Set(U8(), kMask));
  } else {
    return hn::And(hn::BitCast(U8(), hn::ShiftRight<kBit - 4>(wide)), hn::Set(U8(), kMask));
  }
}

// The quads of kMatmulSub inputs and kLanes outputs; `codes` points to the vector's part of the first plane.
template <int kBits>
HWY_INLINE void UnpackQuads(const std::byte* codes, Codes (&quads)[kQuads]) {
  const U8 d;
  const auto plane = [&](int number)
                         HWY_ATTR { return hn::LoadU(d, reinterpret_cast<const std::uint8_t*>(codes) + number * kMatmulPlane); };
  if constexpr (kBits == 8) {
    for (int q = 0; q < kQuads; ++q) quads[q] = plane(q);
    return;
  }
  const Codes low = hn::Set(d, 15);
  for (int q = 0; q < 4; ++q) {
    const Codes both = plane(q);
    quads[q] = hn::And(both, low);
    quads[q + 4] = hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(U16(), both))), low);
  }
  if constexpr (kBits == 5) {
    const Codes high = plane(4);
    [&]<int... kQ>(std::integer_sequence<int, kQ...>)
        HWY_ATTR { ((quads[kQ] = hn::Or(quads[kQ], HighBits<kQ, 0x10>(high))), ...); }(std::make_integer_sequence<int, kQuads>());
  }
  if constexpr (kBits == 6) {
    const Codes high[2] = {plane(4), plane(5)};
    [&]<int... kQ>(std::integer_sequence<int, kQ...>) HWY_ATTR {
      ((quads[kQ] = hn::Or(quads[kQ], HighBits<2 * (kQ % 4), 0x30>(high[kQ / 4]))), ...);
    }(std::make_integer_sequence<int, kQuads>());
  }
}

// Whether codes are multiplied as they are, 0 and up. Of 8 bits two products don't fit into the 16 bits that older x86 processors sum
// pairs in: there their offset is taken out before.
template <CodeFormat kFormat>
constexpr bool MultipliesCodes() {
  return !(HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3_DL && kFormat.code_bits == 8);
}

// sum + quads · inputs, for kCount quads from kFirst on; `inputs` are those of quad kFirst.
template <int kBits, int kFirst, int kCount>
HWY_INLINE Ints Dot(const Codes (&quads)[kQuads], const std::byte* inputs, Ints sum) {
  const auto input = [&](int q) HWY_ATTR { return hn::BitCast(I8(), BroadcastInt(inputs + 4 * q)); };
#if HWY_TARGET <= HWY_AVX3_DL
  for (int q = 0; q < kCount; ++q) sum = hn::SumOfMulQuadAccumulate(I32(), quads[kFirst + q], input(q), sum);
#elif HWY_ARCH_X86
  if constexpr (kBits == 8) {
    // Magnitudes of the codes times inputs with the codes' signs: at most 2 * 128 * 127.
    for (int q = 0; q < kCount; ++q) {
      const auto code = hn::BitCast(I8(), hn::Xor(quads[kFirst + q], hn::Set(U8(), 0x80)));
      const auto signed_input = hn::IfNegativeThenNegOrUndefIfZero(code, input(q));
      const auto pairs = hn::SatWidenMulPairwiseAdd(I16(), hn::BitCast(U8(), hn::Abs(code)), signed_input);
      sum = hn::Add(sum, hn::WidenMulPairwiseAdd(I32(), pairs, hn::Set(I16(), 1)));
    }
  } else {
    // So many sums of two products fit into 16 bits.
    constexpr int kFit = std::min(kCount, 32767 / (2 * 127 * ((1 << kBits) - 1)));
    static_assert(kCount % kFit == 0);
    for (int first = 0; first < kCount; first += kFit) {
      auto pairs = hn::SatWidenMulPairwiseAdd(I16(), quads[kFirst + first], input(first));
      for (int q = first + 1; q < first + kFit; ++q) {
        pairs = hn::Add(pairs, hn::SatWidenMulPairwiseAdd(I16(), quads[kFirst + q], input(q)));
      }
      sum = hn::Add(sum, hn::WidenMulPairwiseAdd(I32(), pairs, hn::Set(I16(), 1)));
    }
  }
#else
  for (int q = 0; q < kCount; ++q) {
    if constexpr (kBits == 8) {
      sum = hn::SumOfMulQuadAccumulate(I32(), quads[kFirst + q], input(q), sum);
    } else {
      sum = hn::SumOfMulQuadAccumulate(I32(), hn::BitCast(I8(), quads[kFirst + q]), input(q), sum);
    }
  }
#endif
  return sum;
}

// Where one vector's part of a strip lies, and the rows that it is multiplied with.
struct Work {
  const std::byte* codes;
  const std::byte* scales;
  int vector;  // of the strip
  std::int64_t blocks;
  bool is_first;  // of the passes over this strip: its memory comes from afar
  const std::byte* inputs;
  std::size_t input_size;
  std::size_t input_scales_at;
  std::size_t input_sums_at;

  const std::byte* input(int row, std::size_t at) const { return inputs + row * input_size + at; }
};

HWY_INLINE void PrefetchAhead(const Work& work, const std::byte* codes, int bytes) {
  if (!work.is_first) return;
  for (int i = 0; i < bytes; i += kMatmulPlane) hwy::Prefetch(codes + kAheadBytes + i);
}

template <CodeFormat kFormat, int kRows>
HWY_INLINE void AddShortBlock(const Work& work, std::int64_t block, Floats (&sums)[kRows]) {
  constexpr MatmulLayout kLayout(kFormat);
  const std::byte* codes = work.codes + block * kLayout.sub_codes;
  PrefetchAhead(work, codes, kLayout.sub_codes);
  Codes quads[kQuads];
  UnpackQuads<kFormat.code_bits>(codes + work.vector * kVectorBytes, quads);
  const std::byte* scales = work.scales + block * kLayout.block_scales + work.vector * (kVectorBytes / 2);
  const Floats d = LoadHalves(scales + kLayout.d_at);
  for (int r = 0; r < kRows; ++r) {
    const std::byte* sum = work.input(r, work.input_sums_at + block * 4);
    const bool has_offset = !kFormat.has_min && MultipliesCodes<kFormat>();
    const Ints start = has_offset ? BroadcastInt(sum) : hn::Zero(I32());
    const Ints dot = Dot<kFormat.code_bits, 0, kQuads>(quads, work.input(r, block * kMatmulSub), start);
    const Floats scale = hn::Mul(d, BroadcastFloat(work.input(r, work.input_scales_at + block * 4)));
    sums[r] = hn::MulAdd(hn::ConvertTo(F32(), dot), scale, sums[r]);
    if constexpr (kFormat.has_min) sums[r] = hn::MulAdd(LoadHalves(scales + kLayout.m_at), BroadcastFloat(sum), sums[r]);
  }
}

// Mins of a block times the sums of the input's codes, 32 by 32.
HWY_INLINE Ints WeighMins(const hn::Vec<I16> (&mins)[kMostMins / 2], const std::byte* sums) {
  Ints total = hn::Zero(I32());
  for (int pair = 0; pair < kMostMins / 2; ++pair) {
    const auto both = hn::BitCast(I16(), BroadcastInt(sums + 4 * pair));
    total = hn::Add(total, hn::WidenMulPairwiseAdd(I32(), mins[pair], both));
  }
  return total;
}

template <CodeFormat kFormat, int kRows>
HWY_INLINE void AddLongBlock(const Work& work, std::int64_t block, Floats (&sums)[kRows]) {
  constexpr MatmulLayout kLayout(kFormat);
  constexpr int kSubs = kFormat.block / kMatmulSub;
  const std::byte* scales = work.scales + block * kLayout.block_scales;
  const std::size_t sums_at = work.input_sums_at + block * kLayout.block_sums * 4;
  const auto scale = [&](int group) HWY_ATTR {
    const auto* from = reinterpret_cast<const std::int8_t*>(scales + group * kMatmulLanes + work.vector * kLanes);
    return hn::PromoteTo(I32(), hn::LoadU(hn::Rebind<std::int8_t, I32>(), from));
  };
  Ints dots[kRows];
  for (Ints& dot : dots) dot = hn::Zero(I32());
  for (int sub = 0; sub < kSubs; ++sub) {
    const std::byte* codes = work.codes + (block * kSubs + sub) * kLayout.sub_codes;
    PrefetchAhead(work, codes, kLayout.sub_codes);
    Codes quads[kQuads];
    UnpackQuads<kFormat.code_bits>(codes + work.vector * kVectorBytes, quads);
    for (int r = 0; r < kRows; ++r) {
      const std::byte* input = work.input(r, (block * kSubs + sub) * kMatmulSub);
      if constexpr (kFormat.scale_group == kMatmulSub) {
        dots[r] = hn::Add(dots[r], hn::Mul(Dot<kFormat.code_bits, 0, kQuads>(quads, input, hn::Zero(I32())), scale(sub)));
      } else {
        const Ints low = Dot<kFormat.code_bits, 0, kQuads / 2>(quads, input, BroadcastInt(work.input(r, sums_at + sub * 8)));
        const Ints high = Dot<kFormat.code_bits, kQuads / 2, kQuads / 2>(quads, input + kMatmulSub / 2,
                                                                         BroadcastInt(work.input(r, sums_at + sub * 8 + 4)));
        dots[r] = hn::Add(dots[r], hn::Add(hn::Mul(low, scale(2 * sub)), hn::Mul(high, scale(2 * sub + 1))));
      }
    }
  }
  const Floats d = LoadHalves(scales + kLayout.d_at + work.vector * (kVectorBytes / 2));
  const Floats m = kFormat.has_min ? LoadHalves(scales + kLayout.m_at + work.vector * (kVectorBytes / 2)) : hn::Zero(F32());
  hn::Vec<I16> mins[kMostMins / 2];
  for (int pair = 0; kFormat.has_min && pair < kMostMins / 2; ++pair) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(scales + kLayout.mins_at + (pair * kMatmulLanes + work.vector * kLanes) * 2);
    mins[pair] = hn::PromoteTo(I16(), hn::LoadU(hn::Rebind<std::uint8_t, I16>(), from));
  }
  for (int r = 0; r < kRows; ++r) {
    const Floats dot = hn::ConvertTo(F32(), dots[r]);
    Floats sum;
    if constexpr (kFormat.has_min) {
      sum = hn::MulSub(d, dot, hn::Mul(m, hn::ConvertTo(F32(), WeighMins(mins, work.input(r, sums_at)))));
    } else {
      sum = hn::Mul(d, dot);
    }
    sums[r] = hn::MulAdd(sum, BroadcastFloat(work.input(r, work.input_scales_at + block * 4)), sums[r]);
  }
}

// Outputs of kLanes of a strip's rows of weights, of which `count` exist, for kRows input rows.
template <CodeFormat kFormat, int kRows>
void MultiplyRows(const Work& work, int count, float* outputs, std::ptrdiff_t output_stride) {
  Floats sums[kRows];
  for (Floats& sum : sums) sum = hn::Zero(F32());
  for (std::int64_t block = 0; block < work.blocks; ++block) {
    if constexpr (kFormat.scale_group == 0) {
      AddShortBlock<kFormat, kRows>(work, block, sums);
    } else {
      AddLongBlock<kFormat, kRows>(work, block, sums);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    if (count >= kLanes) {
      hn::StoreU(sums[r], F32(), outputs + r * output_stride);
    } else {
      hn::StoreN(sums[r], F32(), outputs + r * output_stride, static_cast<std::size_t>(count));
    }
  }
}

// Calls task<n>(first) for blocks of n rows that make up `count`.
template <int kRows = kBlockRows, typename Task>
HWY_INLINE void InBlocks(int count, const Task& task, int first = 0) {
  for (; count - first >= kRows; first += kRows) task.template operator()<kRows>(first);
  if constexpr (kRows > 1) InBlocks<kRows - 1>(count, task, first);
}

template <CodeFormat kFormat>
void MultiplyFormat(const MatmulProduct& product) {
  const QuantisedLayout layout(kFormat, static_cast<std::size_t>(product.inputs));
  const std::size_t strip_size = product.codes_size + product.scales_size;
  for (int pass = 0; pass < product.rows; pass += kPassRows) {
    for (int strip = product.first_strip; strip < product.last_strip; ++strip) {
      const std::byte* codes = product.packed + strip * strip_size;
      for (int vector = 0; vector < kVectors; ++vector) {
        const std::int64_t output = std::int64_t{strip} * kMatmulLanes + vector * kLanes;
        const int count = static_cast<int>(std::min<std::int64_t>(kLanes, product.outputs_of_weights - output));
        if (count <= 0) break;
        InBlocks(std::min(kPassRows, product.rows - pass), [&]<int kRows>(int first) HWY_ATTR {
          const int row = pass + first;
          const Work work{.codes = codes,
                          .scales = codes + product.codes_size,
                          .vector = vector,
                          .blocks = product.inputs / kFormat.block,
                          .is_first = first == 0 && vector == 0,
                          .inputs = product.quantised + row * layout.size,
                          .input_size = layout.size,
                          .input_scales_at = layout.scales_at,
                          .input_sums_at = layout.sums_at};
          MultiplyRows<kFormat, kRows>(work, count, product.outputs + row * product.output_stride + output, product.output_stride);
        });
      }
    }
  }
}

void Multiply(TensorType type, const MatmulProduct& product) {
  switch (type) {
    case TensorType::kQ4_0:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ4_0)>(product);
    case TensorType::kQ4_1:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ4_1)>(product);
    case TensorType::kQ5_0:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ5_0)>(product);
    case TensorType::kQ5_1:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ5_1)>(product);
    case TensorType::kQ8_0:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ8_0)>(product);
    case TensorType::kQ4_K:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ4_K)>(product);
    case TensorType::kQ5_K:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ5_K)>(product);
    case TensorType::kQ6_K:
      return MultiplyFormat<*FindCodeFormat(TensorType::kQ6_K)>(product);
    default:
      CheckInvariant(false, "weights are of a type that Takes names");
  }
}

// The scale of a block of inputs, 0 where all of them count as zeros, NaN where one isn't finite.
float BlockScale(const float* input, int count) {
  const I32 di;
  Ints greatest = hn::Zero(di);
  for (int i = 0; i < count; i += kLanes) {
    const Ints bits = hn::BitCast(di, hn::Abs(hn::LoadU(F32(), input + i)));
    greatest = hn::Max(greatest, bits);  // as integers, magnitudes have the order of floats, and NaN is above all
  }
  const std::int32_t bits = hn::ReduceMax(di, greatest);
  float magnitude;
  std::memcpy(&magnitude, &bits, sizeof magnitude);
  if (!(magnitude <= std::numeric_limits<float>::max())) return std::numeric_limits<float>::quiet_NaN();
  const float scale = magnitude / 127.0F;
  return scale < std::numeric_limits<float>::min() ? 0.0F : scale;
}

// Codes of `count` inputs, and the sums of each 16 of them.
void QuantiseBlock(const float* input, int count, float scale, std::int8_t* codes, std::int32_t* sums) {
  const hn::Rebind<std::int8_t, I32> d8;
  const bool is_nothing = !(scale > 0);
  const Floats inverse = hn::Set(F32(), is_nothing ? 0.0F : 1.0F / scale);
  for (int first = 0; first < count; first += kMatmulLanes) {
    Ints sum = hn::Zero(I32());
    for (int i = first; i < first + kMatmulLanes; i += kLanes) {
      // NaN times zero would be NaN.
      const Floats values = is_nothing ? hn::Zero(F32()) : hn::Mul(hn::LoadU(F32(), input + i), inverse);
      const Ints rounded = hn::NearestInt(values);
      sum = hn::Add(sum, rounded);
      hn::StoreU(hn::DemoteTo(d8, rounded), d8, codes + i);
    }
    sums[first / kMatmulLanes] = hn::ReduceSum(I32(), sum);
  }
}

// What kernels add for the codes' offset or the weights' mins, from the sums of 16 codes each.
void WriteSums(const CodeFormat& format, float scale, const std::int32_t* sums16, std::byte* sums) {
  const auto sum32 = [&](int sub) { return sums16[2 * sub] + sums16[2 * sub + 1]; };
  if (format.scale_group == 0 && format.has_min) {
    const float sum = scale * static_cast<float>(sum32(0));
    std::memcpy(sums, &sum, sizeof sum);
  } else if (format.scale_group == 0) {
    const std::int32_t sum = -format.code_offset * sum32(0);
    std::memcpy(sums, &sum, sizeof sum);
  } else if (format.has_min) {
    for (int sub = 0; sub < kMostMins; ++sub) {
      const auto sum = static_cast<std::int16_t>(sum32(sub));
      std::memcpy(sums + sub * sizeof sum, &sum, sizeof sum);
    }
  } else {
    for (int group = 0; group < kMostScales; ++group) {
      const std::int32_t sum = -format.code_offset * sums16[group];
      std::memcpy(sums + group * sizeof sum, &sum, sizeof sum);
    }
  }
}

void Quantise(const CodeFormat& format, std::int64_t inputs, const float* input, std::byte* quantised) {
  const QuantisedLayout layout(format, static_cast<std::size_t>(inputs));
  const int block_sums = MatmulLayout(format).block_sums * 4;
  for (std::int64_t block = 0; block < inputs / format.block; ++block) {
    const float* values = input + block * format.block;
    const float scale = BlockScale(values, format.block);
    std::int32_t sums[kMostBlockElements / kMatmulLanes];
    QuantiseBlock(values, format.block, scale, reinterpret_cast<std::int8_t*>(quantised) + block * format.block, sums);
    std::memcpy(quantised + layout.scales_at + block * sizeof scale, &scale, sizeof scale);
    WriteSums(format, scale, sums, quantised + layout.sums_at + block * block_sums);
  }
}

}  // namespace
}  // namespace cllm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cllm {
namespace {

HWY_EXPORT(Multiply);
HWY_EXPORT(Quantise);

static_assert(kStripOutputs == kMatmulLanes);

}  // namespace

bool MatmulKernel::IsFast() { return FastInstructionSets() != 0; }

bool MatmulKernel::Takes(TensorType type, std::int64_t inputs) {
  const std::optional<CodeFormat> format = FindCodeFormat(type);
  return format && inputs > 0 && inputs % format->block == 0;
}

MatmulKernel::MatmulKernel(TensorType type, std::int64_t inputs, std::int64_t outputs)
    : type_(type),
      format_(FindCodeFormat(type).value()),
      block_bytes_(FindTensorType(static_cast<std::uint32_t>(type))->block_bytes),
      inputs_(inputs),
      outputs_(outputs),
      codes_size_(static_cast<std::size_t>(inputs) / kMatmulSub * MatmulLayout(format_).sub_codes),
      scales_size_(RoundedToPlanes(static_cast<std::size_t>(inputs / format_.block) * MatmulLayout(format_).block_scales)),
      quantised_size_(QuantisedLayout(format_, static_cast<std::size_t>(inputs)).size) {
  CheckInvariant(Takes(type, inputs), "weights are of a type and a width that Takes names");
}

void MatmulKernel::Pack(const std::byte* rows, std::byte* packed) const {
  const std::size_t row_bytes = static_cast<std::size_t>(inputs_ / format_.block) * block_bytes_;
  for (int strip = 0; strip < strips(); ++strip) {
    const std::int64_t first = std::int64_t{strip} * kStripOutputs;
    PackStrip(rows + first * row_bytes, static_cast<int>(std::min<std::int64_t>(kStripOutputs, outputs_ - first)),
              packed + strip * strip_size());
  }
}

void MatmulKernel::PackStrip(const std::byte* rows, int count, std::byte* strip) const {
  std::memset(strip, 0, strip_size());
  CodeBlock block;
  for (int output = 0; output < count; ++output) {
    for (int number = 0; number < inputs_ / format_.block; ++number, rows += block_bytes_) {
      ReadCodeBlock(type_, rows, block);
      PackBlock(block, number, output, strip);
    }
  }
}

void MatmulKernel::PackBlock(const CodeBlock& block, int number, int output, std::byte* strip) const {
  const MatmulLayout layout(format_);
  const auto put = [](std::byte* to, const auto& value) { std::memcpy(to, &value, sizeof value); };
  for (int sub = 0; sub < format_.block / kMatmulSub; ++sub) {
    const std::uint8_t* codes = &block.codes[sub * kMatmulSub];
    std::byte* to = strip + (static_cast<std::size_t>(number) * format_.block / kMatmulSub + sub) * layout.sub_codes + output * 4;
    std::array<std::uint8_t, kMatmulSub> low{};
    std::array<std::uint8_t, 8> high{};
    if (format_.code_bits == 8) {
      for (int q = 0; q < 8; ++q) std::memcpy(to + q * kMatmulPlane, codes + 4 * q, 4);
      continue;
    }
    for (int i = 0; i < 16; ++i) low[i] = static_cast<std::uint8_t>((codes[i] & 15) | codes[i + 16] << 4);
    for (int q = 0; q < 4; ++q) std::memcpy(to + q * kMatmulPlane, &low[4 * q], 4);
    if (format_.code_bits == 4) continue;
    const int planes = format_.code_bits - 4, per_plane = 8 / planes;  // quads of a plane
    for (int i = 0; i < kMatmulSub; ++i) high[i / 4 / per_plane * 4 + i % 4] |= codes[i] >> 4 << (i / 4 % per_plane * planes);
    for (int plane = 0; plane < planes; ++plane) std::memcpy(to + (4 + plane) * kMatmulPlane, &high[4 * plane], 4);
  }
  std::byte* scales = strip + codes_size_ + static_cast<std::size_t>(number) * layout.block_scales;
  if (format_.scale_group != 0) {
    for (int group = 0; group < format_.block / format_.scale_group; ++group)
      put(scales + group * kMatmulLanes + output, block.scales[group]);
    for (int i = 0; format_.has_min && i < kMostMins; ++i)
      put(scales + layout.mins_at + (i / 2 * kMatmulLanes + output) * 2 + i % 2, block.mins[i]);
  }
  put(scales + layout.d_at + output * 2, block.d);
  if (format_.has_min) put(scales + layout.m_at + output * 2, block.m);
}

void MatmulKernel::Quantise(const float* input, std::byte* quantised) const {
  HWY_DYNAMIC_DISPATCH(Quantise)(format_, inputs_, input, quantised);
}

void MatmulKernel::Multiply(const std::byte* packed, int first_strip, int last_strip, const std::byte* quantised, int rows, float* outputs,
                            std::ptrdiff_t output_stride) const {
  HWY_DYNAMIC_DISPATCH(Multiply)(type_, {.packed = packed,
                                         .codes_size = codes_size_,
                                         .scales_size = scales_size_,
                                         .inputs = inputs_,
                                         .outputs_of_weights = outputs_,
                                         .first_strip = first_strip,
                                         .last_strip = last_strip,
                                         .quantised = quantised,
                                         .rows = rows,
                                         .outputs = outputs,
                                         .output_stride = output_stride});
}

}  // namespace cllm
#endif  // HWY_ONCE
