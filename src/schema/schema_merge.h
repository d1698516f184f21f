// Two schemas as one that says the same.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "schema/keyword_table.h"

namespace cllm {

// The types that a schema object's `type` names, well-formed or not; all where there is none.
TypeSet DeclaredTypes(const Json& schema);

// `types` as the keyword has them: one name, or an array of names.
Json TypesAsJson(TypeSet types);

// Merges the keywords of `other` into `schema`, exactly where nothing is returned: a value fits afterwards if it fits both. Otherwise the
// keyword in the way; then `schema` says less than both. What one property, or the other properties, are to be becomes an allOf of both.
// Types without one in common become an empty `type` array.
std::optional<std::string> MergeSchemas(Json& schema, const Json& other);

}  // namespace cllm
