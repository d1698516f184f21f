#include "base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  bool is_v2 = false;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(text, separator)) parts.emplace_back(part.begin(), part.end());
  return parts;
}

bool HasPart(std::string_view list, std::string_view wanted) {
  return std::ranges::any_of(Split(list, ','), [&](const std::string& part) { return part == wanted; });
}

// The number at the head of a file; nothing where it is missing, or says "max".
std::optional<double> ReadNumber(const fs::path& path) {
  std::ifstream file(path);
  double value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// The value of a line "key value".
std::optional<double> ReadKey(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  for (double value = 0; file >> name >> value;) {
    if (name == key) return value;
  }
  return std::nullopt;
}

// The group of this process in the hierarchy of `controller`: version 1 names controllers, version 2 is the one without a name.
std::optional<std::string> Membership(const fs::path& memberships, std::string_view controller, bool is_v2) {
  std::ifstream file(memberships);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : HasPart(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

// Calls `visit` with each folder from the process's own group up to the top of its mount.
void VisitGroup(const fs::path& mount_point, const std::string& root, const std::string& group, bool is_v2,
                const std::function<void(const Folder&)>& visit) {
  // What a container sees of the hierarchy may begin below its top.
  fs::path below = fs::path(group).lexically_relative(root);
  if (below.empty() || *below.begin() == "..") below = ".";
  for (fs::path folder = below.lexically_normal();; folder = folder.parent_path()) {
    visit({.path = mount_point / folder, .is_v2 = is_v2});
    if (folder.empty() || folder == ".") return;
  }
}

// All folders that say something about `controller`, for this process.
void VisitFolders(const CgroupSources& sources, std::string_view controller, const std::function<void(const Folder&)>& visit) {
  std::ifstream file(sources.mounts);
  for (std::string line; std::getline(file, line);) {
    // "36 35 0:31 ROOT MOUNT-POINT OPTIONS [more ...] - TYPE SOURCE OPTIONS"
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const std::vector<std::string> head = Split(std::string_view(line).substr(0, dash), ' ');
    const std::vector<std::string> tail = Split(std::string_view(line).substr(dash + 3), ' ');
    if (head.size() < 5 || tail.size() < 3) continue;
    const bool is_v2 = tail[0] == "cgroup2";
    if (!is_v2 && (tail[0] != "cgroup" || !HasPart(tail[2], controller))) continue;
    const auto group = Membership(sources.memberships, controller, is_v2);
    if (group) VisitGroup(head[4], head[3], *group, is_v2, visit);
  }
}

std::optional<double> Quota(const Folder& folder) {
  std::optional<double> quota;
  std::optional<double> period;
  if (folder.is_v2) {
    std::ifstream file(folder.path / "cpu.max");
    double microseconds = 0;
    if (file >> microseconds) quota = microseconds;  // not "max"
    if (file >> microseconds) period = microseconds;
  } else {
    quota = ReadNumber(folder.path / "cpu.cfs_quota_us");  // -1: none
    period = ReadNumber(folder.path / "cpu.cfs_period_us");
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

std::optional<std::int64_t> FreeBytes(const Folder& folder) {
  const auto limit = ReadNumber(folder.path / (folder.is_v2 ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = ReadNumber(folder.path / (folder.is_v2 ? "memory.current" : "memory.usage_in_bytes"));
  constexpr double kNoLimit = 1LL << 60;  // version 1 says "none" with a number near the largest
  if (!limit || !used || *limit >= kNoLimit) return std::nullopt;
  const double cached = ReadKey(folder.path / "memory.stat", folder.is_v2 ? "inactive_file" : "total_inactive_file").value_or(0);
  return static_cast<std::int64_t>(std::max(0.0, *limit - std::max(0.0, *used - cached)));
}

template <typename Value>
std::optional<Value> Tightest(const CgroupSources& sources, std::string_view controller, std::optional<Value> (*read)(const Folder&)) {
  std::optional<Value> tightest;
  VisitFolders(sources, controller, [&](const Folder& folder) {
    if (const auto value = read(folder)) tightest = std::min(tightest.value_or(*value), *value);
  });
  return tightest;
}

}  // namespace

std::optional<double> CgroupProcessors(const CgroupSources& sources) { return Tightest<double>(sources, "cpu", Quota); }

std::optional<std::int64_t> CgroupFreeBytes(const CgroupSources& sources) { return Tightest<std::int64_t>(sources, "memory", FreeBytes); }

}  // namespace cllm
