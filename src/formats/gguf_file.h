// A GGUF file that has been checked whole: metadata by key, tensors by name, bytes by mmap.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "formats/gguf_parser.h"
#include "formats/mapped_file.h"

namespace cllm {

// Views that it hands out live as long as it does. Reading a file that somebody shortens raises SIGBUS.
class GgufFile {
 public:
  // Maps and checks the file. Errors (kInvalidArgument) name the path, the byte offset, and the key or tensor.
  static Result<GgufFile> Open(const std::string& path);

  // The same for bytes that are in memory already and outlive the object. `name` stands for the path in messages.
  static Result<GgufFile> Parse(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::uint64_t size_bytes() const { return bytes_.size(); }
  std::uint32_t version() const { return contents_.version; }
  std::uint64_t alignment() const { return contents_.alignment; }

  std::span<const GgufEntry> entries() const { return contents_.entries; }
  std::span<const GgufTensor> tensors() const { return contents_.tensors; }

  // nullptr where there is none.
  const GgufEntry* FindEntry(std::string_view key) const;
  const GgufTensor* FindTensor(std::string_view tensor_name) const;
  std::span<const std::byte> Data(const GgufTensor& tensor) const { return bytes_.subspan(tensor.offset, tensor.bytes); }

  // Values by key: kNotFound where the key is missing, kInvalidArgument where its type is another. Integer takes every
  // width, and fails for what does not fit; Float takes float32 and float64. Strings need not be UTF-8.
  Result<std::string_view> String(std::string_view key) const;
  Result<std::int64_t> Integer(std::string_view key) const;
  Result<double> Float(std::string_view key) const;
  Result<bool> Bool(std::string_view key) const;
  Result<std::vector<std::string_view>> Strings(std::string_view key) const;
  Result<std::vector<std::int64_t>> Integers(std::string_view key) const;
  Result<std::vector<double>> Floats(std::string_view key) const;

 private:
  GgufFile(std::string name, MappedFile mapping, std::span<const std::byte> bytes, GgufContents contents);
  Result<const GgufEntry*> Require(std::string_view key, bool is_array) const;
  std::unexpected<Error> WrongType(const GgufEntry& entry, std::string_view wanted) const;

  std::string name_;
  MappedFile mapping_;
  std::span<const std::byte> bytes_;
  GgufContents contents_;
};

// A value that may be missing: `otherwise` where it is, and every other error as it is.
template <typename T>
Result<T> Optional(Result<T> value, T otherwise) {
  if (!value && value.error().code == ErrorCode::kNotFound) return otherwise;
  return value;
}

}  // namespace cllm
