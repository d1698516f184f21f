// What of a JSON schema can be enforced while an answer is generated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "base/stop_check.h"

namespace cllm {

enum class SchemaMode : std::uint8_t {
  kStrict,   // all of it, or an error
  kRelaxed,  // what can't be enforced is left out, and named
};

// A keyword that can't be enforced where it stands.
struct SchemaFinding {
  std::string pointer;  // of the schema that it stands in; "" is the root
  std::string keyword;
  std::string message;

  bool operator==(const SchemaFinding&) const = default;
};

// "/properties/a: 'uniqueItems' is not enforced".
std::string InWords(const SchemaFinding& finding);

struct CheckedSchema {
  // For the grammar compiler: only keywords that it enforces, where it enforces them; references lead to "#" or "#/$defs/…". Where nothing
  // was relaxed, every value that fits it fits the schema. It may be narrower in two ways: a schema without `type` whose keywords tell one
  // gets that type, and of an object with patternProperties only names that fit the pattern are kept.
  Json enforced;
  // JSON Pointers to what was left out, in the order of the walk. Below an allOf or anyOf that had to be merged they go by the merged
  // schema.
  std::vector<std::string> relaxed_pointers;
};

inline constexpr int kMostSchemaDepth = 64;
inline constexpr int kMostSchemaNodes = 10'000;  // after merging
inline constexpr std::size_t kMostSchemaBytes = 1 << 20;
inline constexpr std::size_t kMostEnumValues = 2'000;
inline constexpr std::int64_t kMostSchemaCount = 1'000'000;  // of minLength, maxItems and the like

// Walks the schema node by node. In both modes an error (kInvalidArgument, with JSON Pointer and keyword) is what is no schema, a reference
// that leads nowhere or out, a cycle of references that consumes nothing, a schema that no value fits, and what exceeds the bounds.
// `stop` is asked now and then; its error is passed on.
Result<CheckedSchema> CheckSchema(const Json& schema, SchemaMode mode, const StopCheck& stop = {});

}  // namespace cllm
