// Writes small GGUF files for tests, right ones and wrong ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_parser.h"

namespace cllm {

class TestingGguf {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  // What the header claims where it is not what follows.
  std::int64_t claimed_entries = -1;
  std::int64_t claimed_tensors = -1;

  template <typename T>
  static std::string Number(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string Text(std::string_view text) { return Number<std::uint64_t>(text.size()) + std::string(text); }

  // `value` as it is encoded behind the type.
  TestingGguf& Raw(std::string_view key, std::uint32_t type, std::string_view value) {
    entries_ += Text(key) + Number(type) + std::string(value);
    ++entry_count_;
    return *this;
  }
  TestingGguf& String(std::string_view key, std::string_view value) { return Raw(key, 8, Text(value)); }
  TestingGguf& Uint32(std::string_view key, std::uint32_t value) { return Raw(key, 4, Number(value)); }
  TestingGguf& Float32(std::string_view key, float value) { return Raw(key, 6, Number(value)); }
  TestingGguf& Array(std::string_view key, std::uint32_t element_type, std::uint64_t count, std::string_view values) {
    return Raw(key, 9, Number(element_type) + Number(count) + std::string(values));
  }
  TestingGguf& Strings(std::string_view key, const std::vector<std::string>& values) {
    std::string encoded;
    for (const std::string& value : values) encoded += Text(value);
    return Array(key, 8, values.size(), encoded);
  }

  // Adds `bytes` of data, aligned, and its description.
  TestingGguf& Tensor(std::string_view name, const std::vector<std::int64_t>& shape, std::uint32_t type, std::size_t bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    DescribeTensor(name, shape, type, data_.size());
    for (std::size_t i = 0; i < bytes; ++i) data_ += static_cast<char>(i * 7 + 1);
    return *this;
  }
  TestingGguf& DescribeTensor(std::string_view name, const std::vector<std::int64_t>& shape, std::uint32_t type, std::uint64_t offset) {
    tensors_ += Text(name) + Number(static_cast<std::uint32_t>(shape.size()));
    for (const std::int64_t length : shape) tensors_ += Number(length);
    tensors_ += Number(type) + Number(offset);
    ++tensor_count_;
    return *this;
  }

  // Where the descriptions of the tensors begin.
  std::size_t TensorsStart() const { return 24 + entries_.size(); }

  std::string Bytes() const {
    std::string file = "GGUF" + Number(version);
    file += Number<std::uint64_t>(claimed_tensors < 0 ? tensor_count_ : static_cast<std::uint64_t>(claimed_tensors));
    file += Number<std::uint64_t>(claimed_entries < 0 ? entry_count_ : static_cast<std::uint64_t>(claimed_entries));
    file += entries_ + tensors_;
    if (tensor_count_ > 0) file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

 private:
  std::string entries_;
  std::string tensors_;
  std::string data_;
  std::uint64_t entry_count_ = 0;
  std::uint64_t tensor_count_ = 0;
};

inline std::span<const std::byte> AsBytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

// A right file with a bit of everything.
inline TestingGguf SmallGguf() {
  TestingGguf file;
  file.String("general.architecture", "llama").Uint32("llama.block_count", 2).Float32("llama.rope.freq_base", 10000.5F);
  file.Raw("a.bool", 7, "\x01").Raw("a.int8", 1, "\xFE").Raw("a.uint64", 10, TestingGguf::Number<std::uint64_t>(1ULL << 63));
  file.Raw("a.float64", 12, TestingGguf::Number(-0.25)).Raw("a.int64", 11, TestingGguf::Number<std::int64_t>(-5));
  file.Strings("tokenizer.ggml.tokens", {"<unk>", "", "ä", "abc"});
  file.Array("an.array", 5, 3, TestingGguf::Number(-1) + TestingGguf::Number(2) + TestingGguf::Number(3));
  file.Array("floats", 6, 2, TestingGguf::Number(0.5F) + TestingGguf::Number(1.5F)).Array("nothing", 4, 0, "");
  file.Tensor("token_embd.weight", {32, 3}, 2, 54).Tensor("output_norm.weight", {5}, 0, 20);
  return file.Tensor("cube", {2, 3, 4}, 1, 48);
}

}  // namespace cllm
