// libFuzzer target: whatever the bytes are, the reader returns, and what it accepts lies inside them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "formats/gguf_file.h"

namespace {

// Touches every byte that the file hands out, so that the sanitizer sees a span that is too long.
std::uint64_t Sum(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (const std::byte value : bytes) sum += static_cast<std::uint64_t>(value);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = cllm::GgufFile::Parse({reinterpret_cast<const std::byte*>(data), size}, "input");
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  std::uint64_t sum = 0;
  for (const cllm::GgufEntry& entry : file->entries()) {
    if (file->FindEntry(entry.key) != &entry) std::abort();
    sum += Sum(entry.bytes);
    if (const auto value = file->String(entry.key)) sum += value->size();
    if (const auto value = file->Strings(entry.key)) sum += value->size();
    if (const auto value = file->Integer(entry.key)) sum += static_cast<std::uint64_t>(*value);
    if (const auto value = file->Integers(entry.key)) sum += value->size();
    if (const auto value = file->Float(entry.key)) sum += static_cast<std::uint64_t>(*value > 0);
    if (const auto value = file->Floats(entry.key)) sum += value->size();
    if (const auto value = file->Bool(entry.key)) sum += static_cast<std::uint64_t>(*value);
  }
  for (const cllm::GgufTensor& tensor : file->tensors()) {
    if (file->FindTensor(tensor.name) != &tensor) std::abort();
    sum += Sum(file->Data(tensor));
  }
  volatile std::uint64_t kept = sum;
  (void)kept;
  return 0;
}
