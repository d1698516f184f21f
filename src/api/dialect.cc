#include "api/dialect.h"

#include <unistd.h>

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "base/invariant.h"

namespace cllm {

std::string SseFrame(const std::string& json) { return "data: " + json + "\n\n"; }

std::string RandomHexId() {
  // From some hundred outputs of a generator the next ones can be computed, and an id must not tell another client's.
  std::array<std::uint64_t, 2> bits{};
  CheckInvariant(getentropy(bits.data(), sizeof(bits)) == 0, "the system has random numbers");
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

}  // namespace cllm
