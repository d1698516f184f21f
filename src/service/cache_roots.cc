#include "service/cache_roots.h"

#include <algorithm>

namespace cllm {

CacheRoot CacheRoots::Of(const std::string& owner, const std::string& salt) {
  if (owner.empty() && salt.empty()) return kCommonRoot;
  const std::lock_guard lock(mutex_);
  Entry& entry = salt.empty() ? owners_[owner] : salted_[{owner, salt}];
  if (entry.root == kCommonRoot) entry.root = ++last_;
  entry.used_at = ++clock_;
  const CacheRoot root = entry.root;
  if (salted_.size() > kMost) salted_.erase(std::ranges::min_element(salted_, {}, [](const auto& each) { return each.second.used_at; }));
  return root;
}

}  // namespace cllm
