#include "formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

class Descriptor {
 public:
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  explicit Descriptor(const std::string& path) : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::unexpected<Error> SystemError(const std::string& path, const char* what) {
  return InvalidArgument(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  const Descriptor file(path);
  if (file.number() < 0) return SystemError(path, "open");
  struct stat facts{};
  if (fstat(file.number(), &facts) != 0) return SystemError(path, "look at");
  if (S_ISDIR(facts.st_mode)) return InvalidArgument(fmt::format("{} is a folder; name a GGUF file in it", path));
  if (!S_ISREG(facts.st_mode)) return InvalidArgument(fmt::format("{} is not a regular file", path));
  MappedFile mapped;
  if (facts.st_size == 0) return mapped;  // mmap refuses nothing at all
  const auto size = static_cast<std::size_t>(facts.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number(), 0);
  if (address == MAP_FAILED) return SystemError(path, "map");
  mapped.bytes_ = {static_cast<const std::byte*>(address), size};
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace cllm
