#include "http/secret_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.h"

namespace cllm {

Status CheckSecretFile(const std::string& path, const char* option) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return {};
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return InvalidArgument(fmt::format("{} {}: others may write it, and so make themselves a key: chmod go-w it", option, path), option);
  }
  const mode_t readers = facts.st_uid == geteuid() ? S_IRGRP | S_IROTH : S_IROTH;
  if ((facts.st_mode & readers) != 0) spdlog::warn("{} {}: others may read it: chmod go-r it", option, path);
  return {};
}

}  // namespace cllm
