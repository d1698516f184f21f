// The bytes of a GGUF file (version 2 or 3, little endian) → its metadata entries and tensors.
//
// Every byte is taken for hostile: each count, length, type and offset is checked before it is used, and what is
// allocated stays under about ten times the bytes that were really there. Use GgufFile unless you test this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "quant/tensor_type.h"

namespace cllm {

// The numbers that GGUF files use.
enum class GgufType : std::uint8_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// "uint32", "string" …
std::string_view GgufTypeName(GgufType type);

// Bytes of one value; 0 for strings and arrays, whose size varies.
std::size_t GgufTypeBytes(GgufType type);

// One metadata entry. Views point into the file's bytes.
struct GgufEntry {
  std::string_view key;
  GgufType type = GgufType::kUint8;  // of the value; in an array, of each element
  bool is_array = false;
  std::uint64_t count = 1;  // of values
  // The values as they are encoded, one after the other; a string is a 64-bit length and its bytes.
  std::span<const std::byte> bytes;
};

struct GgufTensor {
  std::string_view name;
  const TensorTypeInfo* type = nullptr;
  int dimensions = 0;                   // 1 to 4
  std::array<std::int64_t, 4> shape{};  // the first is the length of a row; 1 beyond `dimensions`
  std::int64_t elements = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t bytes = 0;
};

struct GgufContents {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::uint64_t data_offset = 0;  // where the tensors' data begins in the file
  std::vector<GgufEntry> entries;
  std::vector<GgufTensor> tensors;             // in the order of their data
  std::vector<std::uint32_t> entries_by_key;   // indices, sorted by key
  std::vector<std::uint32_t> tensors_by_name;  // indices, sorted by name
};

// Errors (kInvalidArgument) say "NAME is damaged at byte N: …" and name the key or tensor.
Result<GgufContents> ParseGguf(std::span<const std::byte> file, std::string_view name);

}  // namespace cllm
