#include "api/dialect.h"

#include <random>

#include <fmt/format.h>

namespace cllm {

std::string SseFrame(const std::string& json) { return "data: " + json + "\n\n"; }

std::string RandomHexId() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", generator(), generator());
}

}  // namespace cllm
