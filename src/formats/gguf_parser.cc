#include "formats/gguf_parser.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/utf8.h"
#include "formats/foreign_file.h"

namespace cllm {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are copied as they are");

constexpr std::uint64_t kMostKeyBytes = 65535;                      // the format's limit
constexpr std::uint64_t kMostNameBytes = 63;                        // llama.cpp's limit for names of tensors
constexpr std::uint64_t kMostAlignment = 2 << 20;                   // a huge page
constexpr std::uint64_t kMostItems = 1 << 24;                       // entries or tensors; models have some thousands
constexpr std::uint64_t kLeastEntryBytes = 8 + 1 + 4 + 1;           // key, type, value
constexpr std::uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name, dimensions, one of them, type, offset

// Reads from the front. The first error sticks: from then on every read yields zeros, and the caller may look at ok()
// when it suits.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, std::string_view name) : file_(file), name_(name) {}

  bool ok() const { return !error_; }
  Error TakeError() { return std::move(*error_); }
  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return file_.size() - position_; }

  // What messages are about from here on, e.g. "key 'general.name'".
  void SetSubject(std::string subject) { subject_ = std::move(subject); }

  void Fail(std::uint64_t offset, std::string_view what) {
    if (error_) return;
    const std::string_view separator = subject_.empty() ? "" : ": ";
    error_ =
        Error{ErrorCode::kInvalidArgument, fmt::format("{} is damaged at byte {}: {}{}{}", name_, offset, subject_, separator, what), ""};
  }

  // The file is no GGUF at all, or none that can be read here.
  void Refuse(std::string_view what) {
    if (!error_) error_ = Error{ErrorCode::kInvalidArgument, fmt::format("{} {}", name_, what), ""};
  }

  std::span<const std::byte> Bytes(std::uint64_t count, std::string_view what) {
    if (!ok()) return {};
    if (count > remaining()) {
      Fail(position_, fmt::format("the file ends inside {}: {} bytes are needed, {} are left", what, count, remaining()));
      return {};
    }
    const auto bytes = file_.subspan(position_, count);
    position_ += count;
    return bytes;
  }

  template <typename T>
  T Read(std::string_view what) {
    T value{};
    const auto bytes = Bytes(sizeof(T), what);
    if (ok()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::string_view String(std::string_view what) {
    const auto length = Read<std::uint64_t>(what);
    const auto bytes = Bytes(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> file_;
  std::string_view name_;
  std::uint64_t position_ = 0;
  std::string subject_;
  std::optional<Error> error_;
};

// A key or name for a message: short, on one line.
std::string Quoted(std::string_view kind, std::string_view text) {
  constexpr std::size_t kMostBytes = 80;
  return fmt::format("{} '{}'", kind, Shortened(text, kMostBytes));
}

// Keys and tensor names: they are shown in messages and compared as C strings by llama.cpp.
std::string_view ReadName(Cursor& in, std::string_view what, std::uint64_t most_bytes) {
  const std::uint64_t start = in.position();
  const std::string_view name = in.String(what);
  if (!in.ok()) return {};
  std::size_t bad = 0;
  if (name.empty()) {
    in.Fail(start, fmt::format("{} is empty", what));
  } else if (name.size() > most_bytes) {
    in.Fail(start, fmt::format("{} has {} bytes, the most is {}", what, name.size(), most_bytes));
  } else if (!IsValidUtf8(name, &bad)) {
    in.Fail(start + 8 + bad, fmt::format("{} is not UTF-8", what));
  } else if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7F; })) {
    in.Fail(start, fmt::format("{} holds a control character", what));
  }
  return name;
}

// Where the number is no type's, a type that callers can go on with until they look at ok().
GgufType ReadValueType(Cursor& in, std::string_view what, bool may_be_array) {
  const std::uint64_t start = in.position();
  const auto number = in.Read<std::uint32_t>(what);
  if (number > static_cast<std::uint32_t>(GgufType::kFloat64)) in.Fail(start, fmt::format("{} {} does not exist", what, number));
  if (!in.ok()) return GgufType::kUint8;
  const auto type = static_cast<GgufType>(number);
  if (type == GgufType::kArray && !may_be_array) in.Fail(start, "arrays of arrays are not supported");
  return type;
}

void CheckBools(Cursor& in, std::span<const std::byte> values, std::uint64_t start) {
  const auto bad = std::ranges::find_if(values, [](std::byte value) { return value > std::byte{1}; });
  if (bad == values.end()) return;
  in.Fail(start + static_cast<std::uint64_t>(bad - values.begin()),
          fmt::format("a boolean is {}, it can be 0 or 1", static_cast<int>(*bad)));
}

std::span<const std::byte> ReadStrings(Cursor& in, std::span<const std::byte> file, std::uint64_t count) {
  const std::uint64_t start = in.position();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) in.String("a string");
  return in.ok() ? file.subspan(start, in.position() - start) : std::span<const std::byte>();
}

void ReadEntry(Cursor& in, std::span<const std::byte> file, std::uint64_t index, GgufContents& out) {
  in.SetSubject(fmt::format("metadata entry {}", index));
  GgufEntry entry;
  entry.key = ReadName(in, "the key", kMostKeyBytes);
  if (!in.ok()) return;
  in.SetSubject(Quoted("key", entry.key));
  entry.type = ReadValueType(in, "value type", true);
  if (in.ok() && entry.type == GgufType::kArray) {
    entry.is_array = true;
    entry.type = ReadValueType(in, "element type", false);
    const std::uint64_t at = in.position();
    entry.count = in.Read<std::uint64_t>("the array's length");
    const std::uint64_t least = std::max<std::uint64_t>(GgufTypeBytes(entry.type), entry.type == GgufType::kString ? 8 : 1);
    if (in.ok() && entry.count > in.remaining() / least) {
      in.Fail(at, fmt::format("the array has {} elements of type {}, but the file has only {} bytes left", entry.count,
                              GgufTypeName(entry.type), in.remaining()));
    }
  }
  if (!in.ok()) return;
  const std::uint64_t start = in.position();
  if (entry.type == GgufType::kString) {
    entry.bytes = ReadStrings(in, file, entry.count);
  } else {
    entry.bytes = in.Bytes(entry.count * GgufTypeBytes(entry.type), "the value");
    if (entry.type == GgufType::kBool) CheckBools(in, entry.bytes, start);
  }
  if (in.ok()) out.entries.push_back(entry);
}

// general.alignment has to be known before the tensors' offsets can be checked.
void ReadAlignment(Cursor& in, std::span<const std::byte> file, GgufContents& out) {
  const auto found = std::ranges::find(out.entries, "general.alignment", &GgufEntry::key);
  if (found == out.entries.end()) return;
  const auto at = static_cast<std::uint64_t>(found->bytes.data() - file.data());
  in.SetSubject("key 'general.alignment'");
  if (found->is_array || found->type != GgufType::kUint32) return in.Fail(at, "it has to be a uint32");
  std::uint32_t alignment = 0;
  std::memcpy(&alignment, found->bytes.data(), sizeof(alignment));
  if (!std::has_single_bit(alignment) || alignment < 8 || alignment > kMostAlignment) {
    return in.Fail(at, fmt::format("{} is no power of two from 8 to {}", alignment, kMostAlignment));
  }
  out.alignment = alignment;
}

// Bytes of the tensor; fails where shape and type contradict each other or the product does not fit.
void SizeTensor(Cursor& in, std::uint64_t at, GgufTensor& tensor) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  tensor.elements = 1;
  for (const std::int64_t length : tensor.shape) {
    if (length > kMost / tensor.elements) return in.Fail(at, "the product of its dimensions is too large");
    tensor.elements *= length;
  }
  const TensorTypeInfo& type = *tensor.type;
  if (tensor.shape[0] % type.block_elements != 0) {
    return in.Fail(at, fmt::format("its rows have {} elements, {} packs them by {}", tensor.shape[0], type.name, type.block_elements));
  }
  const std::int64_t blocks = tensor.elements / type.block_elements;
  if (blocks > kMost / type.block_bytes) return in.Fail(at, "its size in bytes is too large");
  tensor.bytes = static_cast<std::uint64_t>(blocks) * type.block_bytes;
}

void ReadShape(Cursor& in, GgufTensor& tensor) {
  const std::uint64_t at = in.position();
  const auto dimensions = in.Read<std::uint32_t>("the number of dimensions");
  if (in.ok() && (dimensions < 1 || dimensions > tensor.shape.size())) {
    in.Fail(at, fmt::format("it has {} dimensions, there can be 1 to {}", dimensions, tensor.shape.size()));
  }
  tensor.shape.fill(1);
  for (std::uint32_t i = 0; i < dimensions && in.ok(); ++i) {
    const std::uint64_t start = in.position();
    tensor.shape[i] = in.Read<std::int64_t>("a dimension");
    if (in.ok() && tensor.shape[i] < 1) in.Fail(start, fmt::format("dimension {} is {}", i, tensor.shape[i]));
  }
  tensor.dimensions = static_cast<int>(dimensions);
}

// The offset is left relative to the data, which begins where the last description ends.
void ReadTensor(Cursor& in, std::uint64_t index, std::uint64_t& data_end, GgufContents& out) {
  in.SetSubject(fmt::format("tensor {}", index));
  GgufTensor tensor;
  const std::uint64_t start = in.position();
  tensor.name = ReadName(in, "the name", kMostNameBytes);
  if (!in.ok()) return;
  in.SetSubject(Quoted("tensor", tensor.name));
  ReadShape(in, tensor);
  const std::uint64_t type_at = in.position();
  const auto number = in.Read<std::uint32_t>("the type");
  if (!in.ok()) return;
  tensor.type = FindTensorType(number);
  if (tensor.type == nullptr) return in.Fail(type_at, fmt::format("tensor type {} does not exist", number));
  SizeTensor(in, start, tensor);
  const std::uint64_t offset_at = in.position();
  tensor.offset = in.Read<std::uint64_t>("the offset");
  if (!in.ok()) return;
  if (tensor.offset % out.alignment != 0) {
    return in.Fail(offset_at, fmt::format("its offset {} is no multiple of {}", tensor.offset, out.alignment));
  }
  if (tensor.offset < data_end) {
    return in.Fail(offset_at, fmt::format("its offset {} lies inside the tensor before, which ends at {}", tensor.offset, data_end));
  }
  if (tensor.bytes > std::numeric_limits<std::uint64_t>::max() - tensor.offset) {
    return in.Fail(offset_at, "offset and size together are too large");
  }
  data_end = tensor.offset + tensor.bytes;
  out.tensors.push_back(tensor);
}

// Tells where the data begins, makes offsets absolute, and checks that the file holds all of it.
void PlaceData(Cursor& in, std::span<const std::byte> file, GgufContents& out) {
  out.data_offset = (in.position() + out.alignment - 1) / out.alignment * out.alignment;
  for (GgufTensor& tensor : out.tensors) {
    const std::uint64_t room = file.size() - std::min<std::uint64_t>(out.data_offset, file.size());
    if (tensor.offset + tensor.bytes > room) {
      in.SetSubject(Quoted("tensor", tensor.name));
      return in.Fail(file.size(), fmt::format("the file ends before its data: {} more bytes are needed (is the download complete?)",
                                              tensor.offset + tensor.bytes - room));
    }
    tensor.offset += out.data_offset;
  }
}

// Sorted indices by name; a name that occurs twice is an error.
template <typename Item>
std::vector<std::uint32_t> IndexByName(Cursor& in, std::span<const std::byte> file, const std::vector<Item>& items,
                                       std::string_view Item::* name, std::string_view kind) {
  std::vector<std::uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  const auto name_of = [&](std::uint32_t i) { return items[i].*name; };
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) { return name_of(a) != name_of(b) ? name_of(a) < name_of(b) : a < b; });
  const auto twice = std::ranges::adjacent_find(order, {}, name_of);
  if (twice != order.end()) {
    const std::string_view second = name_of(*(twice + 1));
    in.SetSubject(Quoted(kind, second));
    in.Fail(static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(second.data()) - file.data()), "it occurs twice");
  }
  return order;
}

void ReadVersion(Cursor& in, GgufContents& out) {
  in.Bytes(4, "the magic");  // ParseGguf has looked at it
  out.version = in.Read<std::uint32_t>("the version");
  if (!in.ok() || out.version == 2 || out.version == 3) return;
  if (out.version == 1) {
    in.Refuse("is GGUF version 1, which nobody writes since 2023: convert the model again");
  } else if ((out.version & 0xFFFF) == 0) {
    in.Refuse("is a big-endian GGUF; only little-endian ones can be read");
  } else {
    in.Refuse(fmt::format("is GGUF version {}; versions 2 and 3 can be read", out.version));
  }
}

// A count that the rest of the file cannot hold is damage, found before anything is read in its name.
std::uint64_t ReadCount(Cursor& in, std::string_view what, std::uint64_t least_bytes) {
  const std::uint64_t at = in.position();
  const auto count = in.Read<std::uint64_t>(what);
  if (in.ok() && count > in.remaining() / least_bytes) {
    in.Fail(at, fmt::format("{} is {}, but the file has only {} bytes left", what, count, in.remaining()));
  }
  if (count > kMostItems) in.Fail(at, fmt::format("{} is {}, the most is {}", what, count, kMostItems));
  return count;
}

GgufContents ReadAll(Cursor& in, std::span<const std::byte> file) {
  GgufContents out;
  ReadVersion(in, out);
  const std::uint64_t tensors = ReadCount(in, "the number of tensors", kLeastTensorBytes);
  const std::uint64_t entries = ReadCount(in, "the number of metadata entries", kLeastEntryBytes);
  for (std::uint64_t i = 0; i < entries && in.ok(); ++i) ReadEntry(in, file, i, out);
  if (in.ok()) out.entries_by_key = IndexByName(in, file, out.entries, &GgufEntry::key, "key");
  if (in.ok()) ReadAlignment(in, file, out);
  std::uint64_t data_end = 0;
  for (std::uint64_t i = 0; i < tensors && in.ok(); ++i) ReadTensor(in, i, data_end, out);
  if (in.ok()) out.tensors_by_name = IndexByName(in, file, out.tensors, &GgufTensor::name, "tensor");
  if (in.ok()) PlaceData(in, file, out);
  return out;
}

}  // namespace

std::string_view GgufTypeName(GgufType type) {
  constexpr std::array<std::string_view, 13> kNames = {"uint8",   "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                                       "boolean", "string", "array",  "uint64", "int64",  "float64"};
  return kNames.at(static_cast<std::size_t>(type));
}

std::size_t GgufTypeBytes(GgufType type) {
  constexpr std::array<std::size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kBytes.at(static_cast<std::size_t>(type));
}

Result<GgufContents> ParseGguf(std::span<const std::byte> file, std::string_view name) {
  if (file.size() < 4 || std::memcmp(file.data(), "GGUF", 4) != 0) {
    return InvalidArgument(fmt::format("{} is not a GGUF file but {}", name, DescribeForeignFile(file)));
  }
  Cursor in(file, name);
  GgufContents out = ReadAll(in, file);
  if (!in.ok()) return std::unexpected(in.TakeError());
  return out;
}

}  // namespace cllm
