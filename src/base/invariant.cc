#include "base/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace cllm {

void CheckInvariant(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "invariant broken: %s\n", rule);
  std::abort();
}

}  // namespace cllm
