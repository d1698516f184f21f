// What a schema leaves open that an answer had better not make use of.
#pragma once

#include "base/json.h"

namespace cllm {

// The schema with `additionalProperties: false` in each object that names properties and doesn't say what others may be. The standard
// lets any others come; a model that is asked for some is not asked for more, and small ones would invent them without end. What fits
// the result fits the schema. `enforced` is that of CheckedSchema.
Json WithClosedObjects(Json enforced);

}  // namespace cllm
