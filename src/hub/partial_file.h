// A file on its way: MODEL.gguf.part, what it is a part of beside it (MODEL.gguf.part.json), and the lock on both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "hub/file_system.h"
#include "hub/patience.h"
#include "hub/sha256.h"

namespace cllm {

// What the bytes are a part of. Only what comes from the same place and is the same content may be appended.
struct PartIdentity {
  std::string url = {};     // without its query
  std::string etag = {};    // strong, with its quotes; empty: none was sent
  std::int64_t size = -1;   // of the whole file in bytes; -1: not said
  std::string sha256 = {};  // of the whole file; empty: not known

  bool operator==(const PartIdentity&) const = default;
};

// The .part file is its own lock (flock), so that nothing stays behind and a crash frees it. The identity is written
// before the first byte that it describes, and an old part is emptied before a new identity is written: whatever moment
// a crash picks, the two fit.
class PartialFile {
 public:
  // Opens or makes the part of `target` and locks it. Where another process holds the lock, `on_wait` is called once and
  // the call waits until it ends (kCancelled where the user interrupts).
  static Result<PartialFile> Open(const std::filesystem::path& target, Patience& patience, const std::function<void()>& on_wait);

  const std::filesystem::path& target() const { return target_; }
  std::filesystem::path path() const;  // of the bytes so far
  std::int64_t size() const { return size_; }
  const PartIdentity& identity() const { return identity_; }
  bool is_open() const { return file_.is_open(); }  // false once finished or discarded
  // SHA-256 of the bytes so far.
  std::string Digest() const { return sum_.Hex(); }

  // Reads what is there, so that Digest covers it. Called once, before the first Append to an old part.
  Status ReadBack();
  // Empties the part; what is appended next belongs to `identity`.
  Status StartOver(const PartIdentity& identity);
  // kTooLarge where the disk or the quota is full; the part keeps what fitted.
  Status Append(std::string_view bytes);
  // To disk, to its name, and the lock is free. Nothing may be called afterwards.
  Status Finish();
  // Deletes the part and its identity. Nothing but this may be called afterwards.
  void Discard();

 private:
  PartialFile(std::filesystem::path target, Descriptor file);
  std::filesystem::path IdentityPath() const;

  std::filesystem::path target_;
  Descriptor file_;
  std::int64_t size_ = 0;
  PartIdentity identity_;
  Sha256 sum_;
};

// The endings that belong to pulls and not to models.
inline constexpr std::string_view kPartEnding = ".part";
inline constexpr std::string_view kIdentityEnding = ".part.json";
inline constexpr std::string_view kScratchEnding = ".pip";  // a folder

}  // namespace cllm
