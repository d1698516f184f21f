#include "schema/closed_objects.h"

namespace cllm {
namespace {

// Depth is bounded by CheckSchema.
void Close(Json& schema) {  // NOLINT(misc-no-recursion)
  if (!schema.is_object()) return;
  for (const char* name : {"properties", "patternProperties", "$defs"}) {
    if (const auto found = schema.find(name); found != schema.end() && found->is_object()) {
      for (auto& inner : *found) Close(inner);
    }
  }
  for (const char* name : {"prefixItems", "anyOf", "oneOf", "allOf"}) {
    if (const auto found = schema.find(name); found != schema.end() && found->is_array()) {
      for (auto& inner : *found) Close(inner);
    }
  }
  for (const char* name : {"items", "additionalProperties"}) {
    if (const auto found = schema.find(name); found != schema.end()) Close(*found);
  }
  const auto properties = schema.find("properties");
  const bool names_some = properties != schema.end() && properties->is_object() && !properties->empty();
  if (names_some && !schema.contains("additionalProperties") && !schema.contains("patternProperties"))
    schema["additionalProperties"] = false;
}

}  // namespace

Json WithClosedObjects(Json enforced) {
  Close(enforced);
  return enforced;
}

}  // namespace cllm
