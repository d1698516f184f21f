// $ref within one document.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace cllm {

struct SchemaTarget {
  const Json* schema = nullptr;
  std::string pointer;  // as RFC 6901 writes it, whatever the reference's own spelling was
};

// What "#" and "#/…" (percent-encoded or not) stand for. Anything else, what isn't there, and what lies below an $id of its own, whose
// references mean something else, are errors.
Result<SchemaTarget> ResolveReference(const Json& root, std::string_view reference);

}  // namespace cllm
