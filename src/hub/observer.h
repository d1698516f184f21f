// What a pull tells the person who waits for it.
#pragma once

#include <cstdint>
#include <string_view>

namespace cllm {

class PullObserver {
 public:
  virtual ~PullObserver() = default;
  // One line that a user should see: what is being tried, why it is tried again.
  virtual void Note(std::string_view line) = 0;
  // A transfer begins; `done` bytes are there already. `total` is -1 where nobody knows it.
  virtual void Begin(std::string_view label, std::int64_t done, std::int64_t total) = 0;
  // Called often, also while nothing arrives.
  virtual void Progress(std::int64_t done, std::int64_t total) = 0;
  // The transfer is over, well or not. More Begin may follow.
  virtual void End() = 0;
};

}  // namespace cllm
