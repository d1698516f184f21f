#include "model/verdict_cache.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

class VerdictCacheTest : public testing::Test {
 protected:
  VerdictCacheTest() : folder_(testing::TempDir() + "verdicts_" + std::to_string(getpid())) {}
  ~VerdictCacheTest() override { std::filesystem::remove_all(folder_); }
  std::string Path() const { return folder_ + "/cache/verdicts"; }
  static FileIdentity Model(std::uint64_t inode) {
    return {.device = 1, .inode = inode, .size = 1000, .modified_ns = 77, .changed_ns = 78};
  }
  std::string Content() const {
    std::ifstream file(Path());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  FileIdentity program_{.device = 9, .inode = 9, .size = 9, .modified_ns = 9, .changed_ns = 9};
};

TEST_F(VerdictCacheTest, RemembersOverProcesses) {
  EXPECT_FALSE(VerdictCache(Path(), program_).IsGood(Model(5)));
  VerdictCache(Path(), program_).RememberGood(Model(5));
  EXPECT_TRUE(VerdictCache(Path(), program_).IsGood(Model(5)));
  EXPECT_FALSE(VerdictCache(Path(), program_).IsGood(Model(6)));
}

TEST_F(VerdictCacheTest, EveryPartOfTheIdentityCounts) {
  const VerdictCache cache(Path(), program_);
  cache.RememberGood(Model(5));
  for (const auto change : {+[](FileIdentity& id) { id.device = 2; }, +[](FileIdentity& id) { id.size = 1001; },
                            +[](FileIdentity& id) { id.modified_ns = 0; }, +[](FileIdentity& id) { id.changed_ns = 0; }}) {
    FileIdentity other = Model(5);
    change(other);
    EXPECT_FALSE(cache.IsGood(other));
  }
  program_.changed_ns = 10;
  EXPECT_FALSE(VerdictCache(Path(), program_).IsGood(Model(5))) << "another build judges anew";
}

TEST_F(VerdictCacheTest, DamagedFilesCountForNothing) {
  const VerdictCache cache(Path(), program_);
  cache.RememberGood(Model(5));
  const std::string right = Content();
  for (const std::string& wrong :
       {std::string("good"), right.substr(0, right.size() - 3), "x" + right, std::string(100000, 'x'), std::string("\0\n", 2)}) {
    std::ofstream(Path(), std::ios::trunc) << wrong;
    EXPECT_FALSE(cache.IsGood(Model(5))) << wrong.substr(0, 80);
  }
  cache.RememberGood(Model(5));
  EXPECT_TRUE(cache.IsGood(Model(5)));
}

TEST_F(VerdictCacheTest, StaysSmallAndKeepsTheNewest) {
  const VerdictCache cache(Path(), program_);
  for (std::uint64_t i = 0; i < 100; ++i) cache.RememberGood(Model(i));
  cache.RememberGood(Model(99));
  EXPECT_TRUE(cache.IsGood(Model(99)));
  EXPECT_TRUE(cache.IsGood(Model(36)));
  EXPECT_FALSE(cache.IsGood(Model(35)));
  EXPECT_LT(std::filesystem::file_size(Path()), 32U << 10);
  const auto entries = std::filesystem::directory_iterator(std::filesystem::path(Path()).parent_path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1) << "no temporary file stays";
}

TEST_F(VerdictCacheTest, WithoutAPathOrAFolderNothingHappens) {
  const VerdictCache none("", program_);
  none.RememberGood(Model(5));
  EXPECT_FALSE(none.IsGood(Model(5)));
  std::filesystem::create_directories(Path());  // a folder where the file should be
  const VerdictCache folder(Path(), program_);
  folder.RememberGood(Model(5));
  EXPECT_FALSE(folder.IsGood(Model(5)));
}

TEST_F(VerdictCacheTest, IdentityChangesWithTheFile) {
  std::filesystem::create_directories(folder_);
  const std::string path = folder_ + "/file";
  EXPECT_FALSE(IdentifyFile(path));
  std::ofstream(path) << "abc";
  const auto first = IdentifyFile(path);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size, 3U);
  EXPECT_EQ(IdentifyFile(path), first);
  std::ofstream(path) << "abcd";
  EXPECT_NE(IdentifyFile(path), first);
}

}  // namespace
}  // namespace cllm
