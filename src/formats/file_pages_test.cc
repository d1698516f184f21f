#include "formats/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "formats/mapped_file.h"

namespace cllm {
namespace {

class FilePagesTest : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = std::size_t{80} << 20;

  void SetUp() override {
    std::ofstream(path_) << "GGUF";
    std::filesystem::resize_file(path_, kBytes);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // Pages of a mapping that this process has.
  static std::size_t PagesIn(const MappedFile& file) {
    std::ifstream maps("/proc/self/smaps");
    const auto first = reinterpret_cast<std::uintptr_t>(file.bytes().data());
    bool is_ours = false;
    for (std::string line; std::getline(maps, line);) {
      unsigned long from = 0, to = 0, kilobytes = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) is_ours = from == first;
      if (is_ours && std::sscanf(line.c_str(), "Rss: %lu", &kilobytes) == 1) return kilobytes / 4;
    }
    return 0;
  }

  const std::string path_ = (std::filesystem::temp_directory_path() / ("file_pages_test_" + std::to_string(getpid()))).string();
};

TEST_F(FilePagesTest, AFileIsReadInPiecesUntilNobodyWantsIt) {
  std::vector<double> reports;
  EXPECT_TRUE(ReadAhead(path_, {.stop = {}, .on_progress = [&](double done) { reports.push_back(done); }}));
  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports.front(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(reports));
  EXPECT_LT(reports.back(), 1);
  int asked = 0;
  const auto stop = [&]() -> Status {
    if (++asked == 2) return Fail(ErrorCode::kCancelled, "enough");
    return {};
  };
  EXPECT_EQ(ReadAhead(path_, {.stop = stop}).error().message, "enough");
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(ReadAhead(path_ + "x", {}));
}

TEST_F(FilePagesTest, MappingsOfTheFileLoseTheirPagesAndGetThemAgain) {
  const auto file = MappedFile::Open(path_);
  ASSERT_TRUE(file);
  const auto read = [&] { return std::ranges::count(file->bytes(), std::byte{'G'}); };
  EXPECT_EQ(read(), 2);
  EXPECT_EQ(PagesIn(*file) * 4096, kBytes);
  DropMappedPages(path_ + "x");
  EXPECT_EQ(PagesIn(*file) * 4096, kBytes);
  DropMappedPages(path_);
  EXPECT_EQ(PagesIn(*file), 0U);
  EXPECT_EQ(read(), 2);
}

}  // namespace
}  // namespace cllm
