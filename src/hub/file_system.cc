#include "hub/file_system.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace cllm {

namespace fs = std::filesystem;

Descriptor::~Descriptor() {
  if (is_open()) close(number_);
}

std::unexpected<Error> FileError(std::string_view what, const fs::path& path) {
  const int reason = errno;
  return Fail(ErrorCode::kInternal, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(reason)), path.string());
}

Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return {};
  return Fail(ErrorCode::kInternal, fmt::format("cannot make the folder {}: {}", folder.string(), error.message()), folder.string());
}

bool WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void SyncFolder(const fs::path& folder) {
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.is_open()) fsync(descriptor.get());
}

Status ReplaceFile(const fs::path& path, std::string_view content) {
  fs::path beside = path;
  beside += ".new";
  const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.is_open() || !WriteAll(file.get(), content) || fsync(file.get()) != 0) return FileError("write", beside);
  if (rename(beside.c_str(), path.c_str()) != 0) return FileError("write", path);
  return {};
}

std::string ReadSmallFile(const fs::path& path, std::size_t limit) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return {};
  std::string content(limit, '\0');
  const ssize_t size = read(file.get(), content.data(), limit);
  content.resize(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
  return content;
}

std::int64_t FreeBytes(const fs::path& folder) {
  struct statvfs info{};
  if (statvfs(folder.c_str(), &info) != 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

std::filesystem::path WithEnding(const std::filesystem::path& path, std::string_view ending) {
  std::filesystem::path whole = path;
  whole += ending;
  return whole;
}

}  // namespace cllm
