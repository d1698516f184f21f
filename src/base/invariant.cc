#include "base/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace cllm {

void BreakInvariant(const char* rule) {
  std::fprintf(stderr, "invariant broken: %s\n", rule);
  std::abort();
}

}  // namespace cllm
