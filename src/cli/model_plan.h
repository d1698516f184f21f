// How a model of a list is served within its share of the memory, decided before anything is allocated.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "cli/options.h"

namespace cllm {

struct ModelPlan {
  ServeOptions options;    // with the context and the sequences that fit
  std::int64_t bytes = 0;  // most resident memory that it takes then
};

// `share_mb`: of options.memory_limit_mb, what the model may take where more than a request's context is a matter of choice; 0: all of it.
Result<ModelPlan> PlanModel(const ServeOptions& options, std::int64_t share_mb);

}  // namespace cllm
