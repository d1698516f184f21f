// The body of a request on its way past Drogon, which would copy it and look into it.
#pragma once

#include <string>

#include "base/memory_budget.h"

namespace cllm {

struct RequestBody {
  std::string text;
  MemoryShare memory;  // of all that is held for the request
};

}  // namespace cllm
