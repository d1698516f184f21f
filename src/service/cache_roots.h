// The roots of prefix and result caches: what one owner of keys and values, or one salt, has computed is not there for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "scheduler/request.h"

namespace cllm {

// Thread safe. What is forgotten gets a new root when it comes again: then nothing is found, and never another's.
class CacheRoots {
 public:
  static constexpr std::size_t kMost = 4096;  // with salts; the owners are as many as there are keys

  // Both empty: the common root.
  CacheRoot Of(const std::string& owner, const std::string& salt);

 private:
  struct Entry {
    CacheRoot root = kCommonRoot;
    std::uint64_t used_at = 0;
  };

  std::mutex mutex_;
  std::map<std::string, Entry> owners_;
  std::map<std::pair<std::string, std::string>, Entry> salted_;  // by owner and salt
  CacheRoot last_ = kCommonRoot;
  std::uint64_t clock_ = 0;
};

}  // namespace cllm
