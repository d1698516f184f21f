// How many bytes all holders may hold together. Any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace cllm {

class ByteBudget {
 public:
  explicit ByteBudget(std::size_t most) : most_(most) {}

  // One holder's share. It gives back what it holds when it dies.
  class Share {
   public:
    explicit Share(ByteBudget& budget) : budget_(budget) {}
    ~Share() { Hold(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // From now on it holds so many bytes; whether there is room for them. It holds them even so.
    bool Hold(std::size_t bytes) {
      const std::size_t others = budget_.held_.fetch_sub(held_) - held_;
      held_ = bytes;
      budget_.held_ += bytes;
      return bytes == 0 || others + bytes <= budget_.most_;
    }

   private:
    ByteBudget& budget_;
    std::size_t held_ = 0;
  };

  std::size_t held() const { return held_; }

 private:
  std::size_t most_;
  std::atomic<std::size_t> held_ = 0;
};

}  // namespace cllm
