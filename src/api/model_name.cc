#include "api/model_name.h"

#include <fmt/format.h>

#include "api/schema_words.h"

namespace cllm {

std::optional<std::string> ReadModelName(JsonObject& object, const char* field) {
  object.Any(field, [] { return words::Text(0, kMostModelNameBytes); });
  auto name = object.String(field);
  if (name && name->size() > kMostModelNameBytes) {
    object.Reject(field, fmt::format("{} must have at most {} bytes", field, kMostModelNameBytes));
    name.reset();
  }
  return name;
}

}  // namespace cllm
