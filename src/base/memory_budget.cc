#include "base/memory_budget.h"

namespace cllm {

bool MemoryBudget::Take(std::size_t bytes) {
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > bytes_ || used > bytes_ - bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

MemoryShare& MemoryShare::operator=(MemoryShare&& other) noexcept {
  if (this == &other) return *this;
  Clear();
  budget_ = std::move(other.budget_);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

bool MemoryShare::Resize(std::size_t bytes) {
  if (budget_ && bytes > bytes_ && !budget_->Take(bytes - bytes_)) return false;
  if (budget_ && bytes < bytes_) budget_->Give(bytes_ - bytes);
  bytes_ = bytes;
  return true;
}

void MemoryShare::Clear() {
  if (budget_) budget_->Give(bytes_);
  bytes_ = 0;
}

}  // namespace cllm
