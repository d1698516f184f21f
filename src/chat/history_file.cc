#include "chat/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
constexpr mode_t kOwnerOnly = 0600;

std::unexpected<Error> HistoryProblem(const fs::path& path, const std::string& why) {
  return Fail(ErrorCode::kInternal, fmt::format("the history {} cannot be kept: {}", path.string(), why));
}

Status Write(const fs::path& path, int flags, std::string_view text) {
  const int fd = open(path.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC, kOwnerOnly);
  if (fd < 0) return HistoryProblem(path, std::strerror(errno));
  // Also a file that was there before, with wider permissions.
  const bool written = fchmod(fd, kOwnerOnly) == 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(fd);
  return written ? Status() : HistoryProblem(path, std::strerror(error));
}

}  // namespace

Result<std::vector<std::string>> HistoryFile::Load() const {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (!fs::exists(status)) return std::vector<std::string>();
  if (!fs::is_regular_file(status)) return HistoryProblem(path_, "it is no regular file");
  std::vector<std::string> lines;
  std::ifstream in(path_, std::ios::binary);
  if (!in) return HistoryProblem(path_, std::strerror(errno));
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && IsValidUtf8(line)) lines.push_back(std::move(line));
  }
  if (lines.size() <= kMostLines) return lines;
  const bool far_beyond = lines.size() > 2 * kMostLines;
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kMostLines));
  if (far_beyond) {
    if (const Status status_of_rewrite = Rewrite(lines); !status_of_rewrite) return std::unexpected(status_of_rewrite.error());
  }
  return lines;
}

Status HistoryFile::Append(std::string_view line) const {
  std::error_code error;
  fs::create_directories(path_.parent_path(), error);
  if (error) return HistoryProblem(path_, error.message());
  return Write(path_, O_APPEND, fmt::format("{}\n", line));
}

Status HistoryFile::Rewrite(const std::vector<std::string>& lines) const {
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  fs::path part = path_;
  part += fmt::format(".{}.part", getpid());
  if (Status status = Write(part, O_TRUNC, text); !status) return status;
  std::error_code error;
  fs::rename(part, path_, error);
  return error ? HistoryProblem(path_, error.message()) : Status();
}

}  // namespace cllm
