// What bounds the work that a server does for a client beside generating.
#pragma once

#include <cstddef>

#include "base/memory_budget.h"
#include "base/status.h"
#include "base/stop_check.h"

namespace cllm {

// Of an answer that has outgrown what there is.
inline Error NoRoomForAnswer() {
  return {ErrorCode::kUnavailable, "the answer needs more memory than other requests leave of http.max_memory_mb", {}};
}

struct WorkLimits {
  const StopCheck& stop;  // asked now and then
  MemoryShare& memory;    // of the client's request
  int max_context = 0;

  // Makes the share `bytes` large; an error where the server's requests have no room for it.
  Status Hold(std::size_t bytes) const {
    if (memory.Resize(bytes)) return {};
    return std::unexpected(NoRoomForAnswer());
  }
};

}  // namespace cllm
