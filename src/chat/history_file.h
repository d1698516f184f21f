// Lines that the user typed, kept over the program's end: one a line, the newest last, for the owner's eyes only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cllm {

class HistoryFile {
 public:
  static constexpr std::size_t kMostLines = 1000;

  explicit HistoryFile(std::filesystem::path path) : path_(std::move(path)) {}

  // The newest lines, at most kMostLines; a file that has grown far beyond is cut. No file is no lines.
  Result<std::vector<std::string>> Load() const;
  // Appends, so that two chats at a time both keep their lines. Makes the folder and the file.
  Status Append(std::string_view line) const;

 private:
  Status Rewrite(const std::vector<std::string>& lines) const;

  std::filesystem::path path_;
};

}  // namespace cllm
