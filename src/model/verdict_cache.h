// Which model files this program has tried and found good, so that the next start need not try again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace cllm {

// Tells one state of one file from every other: whatever changes a byte changes the times, too.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;  // by the kernel alone: a copied modification time does not deceive it

  bool operator==(const FileIdentity&) const = default;
};

// Nothing where the path cannot be looked at.
std::optional<FileIdentity> IdentifyFile(const std::string& path);

// A small text file, one line a verdict, the newest last. A line that is not exactly what this program would write
// counts for nothing. Several processes may use it: a write replaces the file as a whole, and a verdict that is lost in
// a race costs one more trial.
class VerdictCache {
 public:
  // `program` is what gave the verdicts: another build has to judge anew. An empty path remembers nothing.
  VerdictCache(std::string path, const FileIdentity& program) : path_(std::move(path)), program_(program) {}

  bool IsGood(const FileIdentity& model) const;

  // Failures are ignored: they cost a trial at the next start.
  void RememberGood(const FileIdentity& model) const;

 private:
  std::string Line(const FileIdentity& model) const;

  std::string path_;
  FileIdentity program_;
};

}  // namespace cllm
