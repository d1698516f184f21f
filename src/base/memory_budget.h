// What requests may hold of memory, all of them together.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace cllm {

// Thread safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : bytes_(bytes) {}

  std::size_t bytes() const { return bytes_; }
  std::size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  friend class MemoryShare;
  bool Take(std::size_t bytes);
  void Give(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  const std::size_t bytes_;
  std::atomic<std::size_t> used_ = 0;
};

// What one request holds of a budget; given back with its end. Without a budget it may hold anything.
class MemoryShare {
 public:
  MemoryShare() = default;
  explicit MemoryShare(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
  ~MemoryShare() { Clear(); }
  MemoryShare(MemoryShare&& other) noexcept : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryShare& operator=(MemoryShare&& other) noexcept;

  std::size_t bytes() const { return bytes_; }
  // False where the budget has no room for more; the share is as it was then. Less always fits.
  [[nodiscard]] bool Resize(std::size_t bytes);

 private:
  void Clear();

  std::shared_ptr<MemoryBudget> budget_;
  std::size_t bytes_ = 0;
};

}  // namespace cllm
