#include "quant/code_block.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/invariant.h"
#include "quant/half.h"

namespace cllm {
namespace {

// Takes the parts of a block off its front.
class Reader {
 public:
  explicit Reader(const std::byte* bytes) : next_(reinterpret_cast<const std::uint8_t*>(bytes)) {}
  const std::uint8_t* Bytes(int count) { return std::exchange(next_, next_ + count); }
  std::uint16_t Half() {
    const std::uint8_t* bytes = Bytes(2);
    return static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8);
  }

 private:
  const std::uint8_t* next_;
};

// The low halves of `count` bytes are `count` codes, their high halves the next ones.
void ReadNibbles(const std::uint8_t* bytes, int count, std::uint8_t* codes) {
  for (int i = 0; i < count; ++i) {
    codes[i] = bytes[i] & 15;
    codes[count + i] = bytes[i] >> 4;
  }
}

// Q4_0, Q4_1, Q5_0, Q5_1.
void ReadShortBlock(const CodeFormat& format, Reader reader, CodeBlock& block) {
  block.d = reader.Half();
  block.m = format.has_min ? reader.Half() : std::uint16_t{0};
  const std::uint8_t* high = format.code_bits == 5 ? reader.Bytes(4) : nullptr;
  ReadNibbles(reader.Bytes(16), 16, block.codes.data());
  for (int i = 0; high != nullptr && i < 32; ++i) block.codes[i] |= (high[i / 8] >> (i % 8) & 1) << 4;
}

void ReadQ8_0(Reader reader, CodeBlock& block) {
  block.d = reader.Half();
  block.m = 0;
  const std::uint8_t* codes = reader.Bytes(32);
  for (int i = 0; i < 32; ++i) block.codes[i] = codes[i] ^ 0x80;  // + 128
}

// Q4_K, Q5_K. Twelve bytes hold eight scales and eight mins of 6 bits.
void ReadQ45_K(const CodeFormat& format, Reader reader, CodeBlock& block) {
  block.d = reader.Half();
  block.m = reader.Half();
  const std::uint8_t* packed = reader.Bytes(12);
  for (int i = 0; i < 4; ++i) {
    block.scales[i] = static_cast<std::int8_t>(packed[i] & 63);
    block.mins[i] = packed[i + 4] & 63;
    block.scales[i + 4] = static_cast<std::int8_t>((packed[i + 8] & 15) | packed[i] >> 6 << 4);
    block.mins[i + 4] = static_cast<std::uint8_t>(packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4);
  }
  const std::uint8_t* high = format.code_bits == 5 ? reader.Bytes(32) : nullptr;
  for (int part = 0; part < 4; ++part) ReadNibbles(reader.Bytes(32), 32, &block.codes[part * 64]);
  for (int i = 0; high != nullptr && i < 256; ++i) block.codes[i] |= (high[i % 32] >> (i / 32) & 1) << 4;
}

void ReadQ6_K(Reader reader, CodeBlock& block) {
  for (int half = 0; half < 2; ++half) ReadNibbles(reader.Bytes(64), 64, &block.codes[half * 128]);
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t* high = reader.Bytes(32);
    for (int i = 0; i < 128; ++i) block.codes[half * 128 + i] |= (high[i % 32] >> (i / 32 * 2) & 3) << 4;
  }
  std::memcpy(block.scales.data(), reader.Bytes(kMostScales), kMostScales);
  block.d = reader.Half();
  block.m = 0;
}

}  // namespace

void ReadCodeBlock(TensorType type, const std::byte* bytes, CodeBlock& block) {
  const std::optional<CodeFormat> format = FindCodeFormat(type);
  CheckInvariant(format.has_value(), "a block of codes has a format");
  if (type == TensorType::kQ6_K) return ReadQ6_K(Reader(bytes), block);
  if (type == TensorType::kQ8_0) return ReadQ8_0(Reader(bytes), block);
  if (format->block == 256) return ReadQ45_K(*format, Reader(bytes), block);
  ReadShortBlock(*format, Reader(bytes), block);
}

void Dequantise(TensorType type, const std::byte* row, std::span<double> values) {
  const CodeFormat format = FindCodeFormat(type).value();
  const std::size_t block_bytes = FindTensorType(static_cast<std::uint32_t>(type))->block_bytes;
  CheckInvariant(values.size() % format.block == 0, "a row consists of whole blocks");
  CodeBlock block;
  for (std::size_t first = 0; first < values.size(); first += format.block, row += block_bytes) {
    ReadCodeBlock(type, row, block);
    const double d = FromHalf(block.d), m = FromHalf(block.m);
    for (int i = 0; i < format.block; ++i) {
      const int code = block.codes[i] - format.code_offset;
      const bool is_long = format.scale_group != 0;
      const double minimum = is_long ? (format.has_min ? -m * block.mins[i / kElementsPerMin] : 0) : m;
      values[first + i] = d * (is_long ? block.scales[i / format.scale_group] : 1) * code + minimum;
    }
  }
}

}  // namespace cllm
