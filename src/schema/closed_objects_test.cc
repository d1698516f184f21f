#include "schema/closed_objects.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ClosedObjectsTest, ObjectsThatNamePropertiesAreClosed) {
  const Json closed = WithClosedObjects(Json::parse(R"({"type": "object", "properties": {
      "open": {"type": "object"}, "free": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
      "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"const": {"properties": {"c": 1}}}}}},
      "either": {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]}},
      "$defs": {"d": {"type": "object", "properties": {"e": {"type": "boolean"}}}}})"));
  EXPECT_EQ(closed, Json::parse(R"({"type": "object", "properties": {
      "open": {"type": "object"}, "free": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
      "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"const": {"properties": {"c": 1}}}}, "additionalProperties": false}},
      "either": {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]}},
      "$defs": {"d": {"type": "object", "properties": {"e": {"type": "boolean"}}, "additionalProperties": false}}, "additionalProperties": false})"));
}

}  // namespace
}  // namespace cllm
