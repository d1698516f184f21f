#include "hub/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::chrono::milliseconds kLockCheck(200);
constexpr std::size_t kMostIdentityBytes = 1 << 16;

// False where the name was given to another file since it was opened: by the pull that held the lock before.
bool IsStillNamed(const Descriptor& file, const fs::path& path) {
  struct stat opened{};
  struct stat named{};
  return fstat(file.get(), &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

// Anything unreadable is an identity that fits nothing.
PartIdentity ReadIdentity(const fs::path& path) {
  const Json json = Json::parse(ReadSmallFile(path, kMostIdentityBytes), nullptr, false);
  if (!json.is_object()) return {};
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  PartIdentity identity{.url = text("url"), .etag = text("etag"), .sha256 = text("sha256")};
  if (const auto size = json.find("size"); size != json.end() && size->is_number_integer()) identity.size = *size;
  return identity;
}

}  // namespace

PartialFile::PartialFile(fs::path target, Descriptor file) : target_(std::move(target)), file_(std::move(file)) {}

fs::path PartialFile::path() const { return WithEnding(target_, kPartEnding); }

fs::path PartialFile::IdentityPath() const { return WithEnding(target_, kIdentityEnding); }

Result<PartialFile> PartialFile::Open(const fs::path& target, Patience& patience, const std::function<void()>& on_wait) {
  const fs::path path = WithEnding(target, kPartEnding);
  bool told = false;
  while (true) {
    Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file.is_open()) return FileError("write", path);
    while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return FileError("lock", path);
      if (!told) on_wait();
      told = true;
      if (patience.Interrupted()) return Fail(ErrorCode::kCancelled, "interrupted while another pull was under way");
      patience.Wait(kLockCheck);
    }
    if (!IsStillNamed(file, path)) continue;
    struct stat info{};
    if (fstat(file.get(), &info) != 0) return FileError("read", path);
    PartialFile part(target, std::move(file));
    part.size_ = info.st_size;
    part.identity_ = ReadIdentity(part.IdentityPath());
    return part;
  }
}

Status PartialFile::ReadBack() {
  std::vector<char> block(1 << 20);
  if (lseek(file_.get(), 0, SEEK_SET) != 0) return FileError("read", path());
  sum_ = Sha256();
  std::int64_t read_bytes = 0;
  while (read_bytes < size_) {
    const ssize_t got = read(file_.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return FileError("read", path());
    sum_.Add({block.data(), static_cast<std::size_t>(got)});
    read_bytes += got;
  }
  return {};
}

Status PartialFile::StartOver(const PartIdentity& identity) {
  if (ftruncate(file_.get(), 0) != 0 || lseek(file_.get(), 0, SEEK_SET) != 0) return FileError("empty", path());
  size_ = 0;
  sum_ = Sha256();
  identity_ = identity;
  const Json json = {{"url", identity.url}, {"etag", identity.etag}, {"size", identity.size}, {"sha256", identity.sha256}};
  return ReplaceFile(IdentityPath(), json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Status PartialFile::Append(std::string_view bytes) {
  if (!WriteAll(file_.get(), bytes)) {
    const int reason = errno;
    // What of a failed write reached the file is not known: the part ends where it ended before.
    if (ftruncate(file_.get(), size_) != 0 || lseek(file_.get(), size_, SEEK_SET) < 0) errno = reason;
    const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    const std::string message = std::error_code(reason, std::generic_category()).message();
    return Fail(full ? ErrorCode::kTooLarge : ErrorCode::kInternal,
                fmt::format("cannot write {}: {}; what is there stays, and the next pull goes on from it", path().string(), message),
                path().string());
  }
  sum_.Add(bytes);
  size_ += static_cast<std::int64_t>(bytes.size());
  return {};
}

Status PartialFile::Finish() {
  if (fsync(file_.get()) != 0) return FileError("write", path());
  if (rename(path().c_str(), target_.c_str()) != 0) return FileError("rename", path());
  SyncFolder(target_.parent_path());
  std::error_code unused;
  fs::remove(IdentityPath(), unused);
  file_ = Descriptor();
  return {};
}

void PartialFile::Discard() {
  if (!file_.is_open()) return;  // the name may be another pull's by now
  std::error_code unused;
  fs::remove(IdentityPath(), unused);
  fs::remove(path(), unused);
  file_ = Descriptor();
}

}  // namespace cllm
