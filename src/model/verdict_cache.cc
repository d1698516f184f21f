#include "model/verdict_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr std::size_t kMostLines = 64;
constexpr std::size_t kMostLineBytes = 512;

// The last lines of the file; none where it is no plain small file.
std::vector<std::string> ReadLines(const std::string& path) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return {};
  if (facts.st_size > static_cast<std::int64_t>(kMostLines * kMostLineBytes)) return {};
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string Text(const FileIdentity& file) {
  return fmt::format("{} {} {} {} {}", file.device, file.inode, file.size, file.modified_ns, file.changed_ns);
}

std::int64_t Nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

std::optional<FileIdentity> IdentifyFile(const std::string& path) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) != 0) return std::nullopt;
  return FileIdentity{.device = facts.st_dev,
                      .inode = facts.st_ino,
                      .size = static_cast<std::uint64_t>(facts.st_size),
                      .modified_ns = Nanoseconds(facts.st_mtim),
                      .changed_ns = Nanoseconds(facts.st_ctim)};
}

std::string VerdictCache::Line(const FileIdentity& model) const {
  return fmt::format("good model {} program {}", Text(model), Text(program_));
}

bool VerdictCache::IsGood(const FileIdentity& model) const {
  if (path_.empty()) return false;
  const std::vector<std::string> lines = ReadLines(path_);
  return std::ranges::find(lines, Line(model)) != lines.end();
}

void VerdictCache::RememberGood(const FileIdentity& model) const {
  if (path_.empty()) return;
  std::vector<std::string> lines = ReadLines(path_);
  std::erase(lines, Line(model));
  lines.push_back(Line(model));
  if (lines.size() > kMostLines) lines.erase(lines.begin(), lines.end() - kMostLines);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  const std::string temporary = fmt::format("{}.{}", path_, getpid());
  std::ofstream file(temporary, std::ios::trunc);
  for (const std::string& line : lines) file << line << '\n';
  file.close();
  if (file) std::filesystem::rename(temporary, path_, ignored);
  std::filesystem::remove(temporary, ignored);
}

}  // namespace cllm
