// A file's bytes in memory, by mmap.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/status.h"

namespace cllm {

// Read-only. If somebody shortens the file, touching what is gone raises SIGBUS.
class MappedFile {
 public:
  // Regular files only: a pipe or a device would block or never end. Errors name the path.
  static Result<MappedFile> Open(const std::string& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace cllm
