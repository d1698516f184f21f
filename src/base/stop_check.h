// How long work asks whether it is still wanted.
#pragma once

#include <functional>

#include "base/status.h"

namespace cllm {

// Asked now and then by work that may take its time; an error ends it and is its result. Empty: nothing ends it.
using StopCheck = std::function<Status()>;

}  // namespace cllm
