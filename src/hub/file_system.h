// Writing files so that a crash leaves either the old or the new one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace cllm {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

// "cannot <what> <path>: <reason of errno>", as kInternal.
std::unexpected<Error> FileError(std::string_view what, const std::filesystem::path& path);

// Makes the folder and those above it.
Status MakeFolder(const std::filesystem::path& folder);

// Writes all of it, or fails with errno set.
bool WriteAll(int descriptor, std::string_view bytes);

// Makes renames inside the folder durable.
void SyncFolder(const std::filesystem::path& folder);

// A small file, written beside and renamed.
Status ReplaceFile(const std::filesystem::path& path, std::string_view content);

// At most `limit` bytes of a small file; empty where there is none.
std::string ReadSmallFile(const std::filesystem::path& path, std::size_t limit);

// The path with `ending` put behind its name.
std::filesystem::path WithEnding(const std::filesystem::path& path, std::string_view ending);

// Bytes that this user may still write into the folder.
std::int64_t FreeBytes(const std::filesystem::path& folder);

}  // namespace cllm
