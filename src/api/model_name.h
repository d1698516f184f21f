// The name of a model as a request gives it.
#pragma once

#include <optional>
#include <string>

#include "api/json_object.h"

namespace cllm {

inline constexpr std::size_t kMostModelNameBytes = 1024;

// Reads `field`. Some dialects repeat it with each event of a stream, so its length is bounded.
std::optional<std::string> ReadModelName(JsonObject& object, const char* field = "model");

}  // namespace cllm
