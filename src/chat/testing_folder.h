// A folder of a test's own, gone with it.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

class TestingFolder {
 public:
  TestingFolder() {
    std::string name = std::filesystem::temp_directory_path() / "cllm_chat_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~TestingFolder() { std::filesystem::remove_all(folder_); }
  TestingFolder(const TestingFolder&) = delete;
  TestingFolder& operator=(const TestingFolder&) = delete;

  std::string Path(std::string_view name) const { return folder_ / name; }
  void Write(std::string_view name, std::string_view text) const { std::ofstream(Path(name), std::ios::binary) << text; }
  std::string Read(std::string_view name) const {
    std::ostringstream text;
    text << std::ifstream(Path(name), std::ios::binary).rdbuf();
    return text.str();
  }
  std::vector<std::string> Entries() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace cllm
