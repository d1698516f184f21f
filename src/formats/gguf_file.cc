#include "formats/gguf_file.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

template <typename T>
T Load(const GgufEntry& entry, std::uint64_t index) {
  T value{};
  std::memcpy(&value, entry.bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Nothing for types that are no integers, and for values beyond 2^63 - 1.
std::optional<std::int64_t> IntegerAt(const GgufEntry& entry, std::uint64_t index) {
  switch (entry.type) {
    case GgufType::kUint8:
      return Load<std::uint8_t>(entry, index);
    case GgufType::kInt8:
      return Load<std::int8_t>(entry, index);
    case GgufType::kUint16:
      return Load<std::uint16_t>(entry, index);
    case GgufType::kInt16:
      return Load<std::int16_t>(entry, index);
    case GgufType::kUint32:
      return Load<std::uint32_t>(entry, index);
    case GgufType::kInt32:
      return Load<std::int32_t>(entry, index);
    case GgufType::kInt64:
      return Load<std::int64_t>(entry, index);
    case GgufType::kUint64: {
      const auto value = Load<std::uint64_t>(entry, index);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> FloatAt(const GgufEntry& entry, std::uint64_t index) {
  if (entry.type == GgufType::kFloat32) return Load<float>(entry, index);
  if (entry.type == GgufType::kFloat64) return Load<double>(entry, index);
  return std::nullopt;
}

// The string at `at`, which moves behind it.
std::string_view NextString(const GgufEntry& entry, std::uint64_t& at) {
  std::uint64_t length = 0;
  std::memcpy(&length, entry.bytes.data() + at, sizeof(length));
  at += sizeof(length);
  const std::string_view text(reinterpret_cast<const char*>(entry.bytes.data()) + at, length);
  at += length;
  return text;
}

template <typename T, typename At>
std::optional<std::vector<T>> AllValues(const GgufEntry& entry, At at) {
  std::vector<T> values;
  for (std::uint64_t i = 0; i < entry.count; ++i) {
    const std::optional<T> value = at(entry, i);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

template <typename Item>
const Item* FindByName(const std::vector<Item>& items, const std::vector<std::uint32_t>& order, std::string_view Item::* name,
                       std::string_view wanted) {
  const auto found = std::ranges::lower_bound(order, wanted, {}, [&](std::uint32_t i) { return items[i].*name; });
  return found != order.end() && items[*found].*name == wanted ? &items[*found] : nullptr;
}

Result<GgufContents> ParseWithoutExceptions(std::span<const std::byte> bytes, const std::string& name) {
  try {
    return ParseGguf(bytes, name);
  } catch (const std::bad_alloc&) {
    return InvalidArgument(fmt::format("there is not enough memory to read the metadata of {}", name));
  }
}

}  // namespace

GgufFile::GgufFile(std::string name, MappedFile mapping, std::span<const std::byte> bytes, GgufContents contents)
    : name_(std::move(name)), mapping_(std::move(mapping)), bytes_(bytes), contents_(std::move(contents)) {}

Result<GgufFile> GgufFile::Open(const std::string& path) {
  auto mapping = MappedFile::Open(path);
  if (!mapping) return std::unexpected(mapping.error());
  const auto bytes = mapping->bytes();
  auto contents = ParseWithoutExceptions(bytes, path);
  if (!contents) return std::unexpected(contents.error());
  return GgufFile(path, std::move(*mapping), bytes, std::move(*contents));
}

Result<GgufFile> GgufFile::Parse(std::span<const std::byte> bytes, std::string name) {
  auto contents = ParseWithoutExceptions(bytes, name);
  if (!contents) return std::unexpected(contents.error());
  return GgufFile(std::move(name), MappedFile(), bytes, std::move(*contents));
}

const GgufEntry* GgufFile::FindEntry(std::string_view key) const {
  return FindByName(contents_.entries, contents_.entries_by_key, &GgufEntry::key, key);
}

const GgufTensor* GgufFile::FindTensor(std::string_view tensor_name) const {
  return FindByName(contents_.tensors, contents_.tensors_by_name, &GgufTensor::name, tensor_name);
}

Result<const GgufEntry*> GgufFile::Require(std::string_view key, bool is_array) const {
  const GgufEntry* entry = FindEntry(key);
  if (entry == nullptr) return Fail(ErrorCode::kNotFound, fmt::format("{} has no key '{}'", name_, key), std::string(key));
  if (entry->is_array != is_array) return WrongType(*entry, is_array ? "an array" : "a single value");
  return entry;
}

std::unexpected<Error> GgufFile::WrongType(const GgufEntry& entry, std::string_view wanted) const {
  const std::string is = entry.is_array ? fmt::format("an array of {}", GgufTypeName(entry.type)) : std::string(GgufTypeName(entry.type));
  return InvalidArgument(fmt::format("{}: key '{}' has to be {}, it is {}", name_, entry.key, wanted, is), std::string(entry.key));
}

Result<std::string_view> GgufFile::String(std::string_view key) const {
  const auto entry = Require(key, false);
  if (!entry) return std::unexpected(entry.error());
  if ((*entry)->type != GgufType::kString) return WrongType(**entry, "a string");
  std::uint64_t at = 0;
  return NextString(**entry, at);
}

Result<std::int64_t> GgufFile::Integer(std::string_view key) const {
  const auto entry = Require(key, false);
  if (!entry) return std::unexpected(entry.error());
  const auto value = IntegerAt(**entry, 0);
  if (!value) return WrongType(**entry, "an integer below 2^63");
  return *value;
}

Result<double> GgufFile::Float(std::string_view key) const {
  const auto entry = Require(key, false);
  if (!entry) return std::unexpected(entry.error());
  const auto value = FloatAt(**entry, 0);
  if (!value) return WrongType(**entry, "a float");
  return *value;
}

Result<bool> GgufFile::Bool(std::string_view key) const {
  const auto entry = Require(key, false);
  if (!entry) return std::unexpected(entry.error());
  if ((*entry)->type != GgufType::kBool) return WrongType(**entry, "a boolean");
  return Load<std::uint8_t>(**entry, 0) != 0;
}

Result<std::vector<std::string_view>> GgufFile::Strings(std::string_view key) const {
  const auto entry = Require(key, true);
  if (!entry) return std::unexpected(entry.error());
  if ((*entry)->type != GgufType::kString) return WrongType(**entry, "an array of strings");
  std::vector<std::string_view> strings;
  strings.reserve((*entry)->count);
  for (std::uint64_t at = 0; strings.size() < (*entry)->count;) strings.push_back(NextString(**entry, at));
  return strings;
}

Result<std::vector<std::int64_t>> GgufFile::Integers(std::string_view key) const {
  const auto entry = Require(key, true);
  if (!entry) return std::unexpected(entry.error());
  auto values = AllValues<std::int64_t>(**entry, IntegerAt);
  if (!values) return WrongType(**entry, "an array of integers below 2^63");
  return std::move(*values);
}

Result<std::vector<double>> GgufFile::Floats(std::string_view key) const {
  const auto entry = Require(key, true);
  if (!entry) return std::unexpected(entry.error());
  auto values = AllValues<double>(**entry, FloatAt);
  if (!values) return WrongType(**entry, "an array of floats");
  return std::move(*values);
}

}  // namespace cllm
