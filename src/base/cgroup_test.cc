#include "base/cgroup.h"

#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace cllm {
namespace {

namespace fs = std::filesystem;

// A hierarchy of files such as the kernel shows.
class CgroupTest : public testing::Test {
 protected:
  CgroupTest() : root_(fs::temp_directory_path() / fmt::format("cllm-cgroup-{}", getpid())) { fs::create_directories(root_); }
  ~CgroupTest() override { fs::remove_all(root_); }

  void Write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void Member(const std::string& lines) { Write("memberships", lines); }
  // `mounted` of a hierarchy at `point`.
  void MountV2(const std::string& mounted, const std::string& point) {
    Append("30 23 0:26 " + mounted + " " + (root_ / point).string() + " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void MountV1(const std::string& mounted, const std::string& point, const std::string& controllers) {
    Append("31 23 0:27 " + mounted + " " + (root_ / point).string() + " rw - cgroup cgroup rw," + controllers + "\n");
  }
  CgroupSources Sources() const { return {.memberships = root_ / "memberships", .mounts = root_ / "mounts"}; }
  std::optional<double> Processors() const { return CgroupProcessors(Sources()); }
  std::optional<std::int64_t> FreeBytes() const { return CgroupFreeBytes(Sources()); }

 private:
  void Append(const std::string& line) { std::ofstream(root_ / "mounts", std::ios::app) << "22 1 8:1 / / rw - ext4 /dev/sda rw\n" << line; }

  fs::path root_;
};

TEST_F(CgroupTest, WhereNoGroupsAreThereIsNoLimit) {
  EXPECT_EQ(Processors(), std::nullopt);
  EXPECT_EQ(FreeBytes(), std::nullopt);
  Member("0::/a\n");
  MountV2("/", "v2");
  Write("v2/a/cpu.max", "max 100000\n");
  Write("v2/a/memory.max", "max\n");
  Write("v2/a/memory.current", "1000\n");
  EXPECT_EQ(Processors(), std::nullopt);
  EXPECT_EQ(FreeBytes(), std::nullopt);
}

TEST_F(CgroupTest, TheTightestOfAllAncestorsHolds) {
  Member("0::/a/b/c\n");
  MountV2("/", "v2");
  Write("v2/a/cpu.max", "150000 100000\n");
  Write("v2/a/b/cpu.max", "400000 100000\n");
  Write("v2/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(Processors(), 1.5);
  Write("v2/a/b/c/cpu.max", "50000 100000\n");
  EXPECT_EQ(Processors(), 0.5);
  Write("v2/cpu.max", "20000 100000\n");  // of a container, whose own group is the top of what it sees
  EXPECT_EQ(Processors(), 0.2);
}

TEST_F(CgroupTest, SaysNothingAboutOtherGroups) {
  Member("0::/a\n");
  MountV2("/", "v2");
  Write("v2/a/cpu.max", "300000 100000\n");
  Write("v2/other/cpu.max", "100000 100000\n");
  Write("v2/a/child/cpu.max", "100000 100000\n");
  EXPECT_EQ(Processors(), 3);
}

TEST_F(CgroupTest, AContainerSeesItsPartOfTheHierarchyAlone) {
  Member("0::/docker/1f\n");
  MountV2("/docker/1f", "v2");
  Write("v2/cpu.max", "250000 100000\n");
  EXPECT_EQ(Processors(), 2.5);
}

TEST_F(CgroupTest, AGroupOutsideOfWhatIsMountedIsItsTop) {
  Member("0::/../other\n");
  MountV2("/", "v2");
  Write("v2/cpu.max", "250000 100000\n");
  EXPECT_EQ(Processors(), 2.5);
}

TEST_F(CgroupTest, VersionOneHasAHierarchyForEachController) {
  Member("5:memory:/m/n\n3:cpu,cpuacct:/c/d\n2:cpuset:/\n");
  MountV1("/", "cpu", "cpu,cpuacct");
  MountV1("/", "cpuset", "cpuset");
  MountV1("/", "memory", "memory");
  Write("cpu/cpu.cfs_quota_us", "-1\n");
  Write("cpu/cpu.cfs_period_us", "100000\n");
  Write("cpu/c/cpu.cfs_quota_us", "350000\n");
  Write("cpu/c/cpu.cfs_period_us", "100000\n");
  Write("cpu/c/d/cpu.cfs_quota_us", "-1\n");
  Write("cpu/c/d/cpu.cfs_period_us", "100000\n");
  Write("cpuset/cpu.cfs_quota_us", "100000\n");
  Write("cpuset/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Processors(), 3.5);
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory/memory.usage_in_bytes", "500\n");
  Write("memory/m/memory.limit_in_bytes", "1000\n");
  Write("memory/m/memory.usage_in_bytes", "700\n");
  EXPECT_EQ(FreeBytes(), 300);
  Write("memory/m/memory.stat", "cache 600\ninactive_file 50\ntotal_inactive_file 450\n");
  EXPECT_EQ(FreeBytes(), 750);
}

TEST_F(CgroupTest, MemoryIsThatOfTheTightestGroup) {
  Member("0::/a/b\n");
  MountV2("/", "v2");
  Write("v2/a/memory.max", "1000\n");
  Write("v2/a/memory.current", "900\n");
  Write("v2/a/b/memory.max", "800\n");
  Write("v2/a/b/memory.current", "400\n");
  EXPECT_EQ(FreeBytes(), 100);
  Write("v2/a/memory.stat", "anon 300\ninactive_file 600\n");
  EXPECT_EQ(FreeBytes(), 400);
  Write("v2/a/b/memory.current", "900\n");  // more than the limit, for a moment
  EXPECT_EQ(FreeBytes(), 0);
}

TEST_F(CgroupTest, BrokenFilesAreNoLimit) {
  Member("nonsense\n0:\n:\n0::/a\n");
  MountV2("/", "v2");
  for (const char* text : {"", "max", "abc def\n", "-1 100000\n", "100000\n", "100000 0\n"}) {
    Write("v2/a/cpu.max", text);
    EXPECT_EQ(Processors(), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace cllm
