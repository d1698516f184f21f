#include "formats/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "formats/mapped_file.h"

namespace cllm {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{32} << 20;

void DropPages(const std::byte* first, std::size_t bytes) { madvise(const_cast<std::byte*>(first), bytes, MADV_DONTNEED); }

}  // namespace

Status ReadAhead(const std::string& path, const WorkWatch& watch) {
  const auto file = MappedFile::Open(path);
  if (!file) return std::unexpected(file.error());
  const std::span<const std::byte> bytes = file->bytes();
  const auto page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    if (Status status = watch.Report(static_cast<double>(at) / static_cast<double>(bytes.size())); !status) return status;
    const std::size_t size = std::min(kPieceBytes, bytes.size() - at);
    madvise(const_cast<std::byte*>(bytes.data() + at), size, MADV_WILLNEED);
    for (std::size_t page = 0; page < size; page += page_bytes)
      static_cast<void>(*static_cast<const volatile std::byte*>(&bytes[at + page]));
    DropPages(bytes.data() + at, size);
  }
  return {};
}

void DropMappedPages(const std::string& path) {
  std::error_code failed;
  const std::string name = std::filesystem::canonical(path, failed).string();
  if (failed) return;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with(name)) continue;
    unsigned long first = 0, end = 0;
    std::array<char, 5> access{};
    int name_at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %*s %n", &first, &end, access.data(), &name_at) != 3) continue;
    // Of a shared mapping nothing can be lost.
    const bool is_shared = access[3] == 's';
    if (is_shared && line.substr(static_cast<std::size_t>(name_at)) == name) {
      DropPages(reinterpret_cast<const std::byte*>(first), end - first);  // NOLINT(performance-no-int-to-ptr)
    }
  }
}

}  // namespace cllm
