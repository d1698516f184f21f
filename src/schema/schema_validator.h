// Whether a JSON value fits a JSON Schema (draft 2020-12).
#pragma once

#include <memory>

#include "base/json.h"
#include "base/status.h"
#include "base/stop_check.h"

namespace cllm {

struct SchemaNodes;

// Independent of what generates answers, so that it can find what that gets wrong. It knows the core, applicator and validation
// vocabularies, and asserts the formats of schema/formats.h; unknown keywords and formats say nothing, as the standard has it.
//
// Numbers are 64-bit integers or doubles, as base/json.h reads them; comparisons are exact for these, and multipleOf takes both numbers
// as the decimals that they are written as.
//
// Immutable: several threads may use one.
class SchemaValidator {
 public:
  // Errors: keywords that aren't what they must be; $dynamicRef, $anchor, unevaluatedItems, unevaluatedProperties and the like; references
  // out of the schema, or below an $id that isn't the root's; patterns that RE2 can't express; more than its bounds allow.
  static Result<SchemaValidator> Compile(const Json& schema);

  // Where the value doesn't fit, the message has the JSON Pointer to what is wrong in it ("the whole value" for the root) and the keyword.
  // What takes more than 10 million steps, or evaluates schemas more than 500 deep, is an error as well.
  Status Validate(const Json& instance, const StopCheck& stop = {}) const;

 private:
  explicit SchemaValidator(std::shared_ptr<const SchemaNodes> nodes) : nodes_(std::move(nodes)) {}

  std::shared_ptr<const SchemaNodes> nodes_;
};

}  // namespace cllm
