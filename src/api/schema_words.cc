#include "api/schema_words.h"

#include <limits>

namespace cllm::words {

Json Text(std::size_t least, std::size_t most) {
  Json schema = String();
  if (least > 0) schema["minLength"] = least;
  schema["maxLength"] = most;
  return schema;
}

Json Matching(std::string pattern) {
  Json schema = String();
  schema["pattern"] = std::move(pattern);
  return schema;
}

// Lists are built element by element: in braces, a list of pairs would be taken for an object.
Json Enum(std::initializer_list<const char*> values) {
  Json list = Json::array();
  for (const char* value : values) list.push_back(value);
  return Json{{"enum", std::move(list)}};
}

Json AnyOf(std::initializer_list<Json> schemas) {
  Json list = Json::array();
  for (const Json& schema : schemas) list.push_back(schema);
  return Json{{"anyOf", std::move(list)}};
}

Json ListOf(Json items) { return Json{{"type", "array"}, {"items", std::move(items)}}; }

Json ListOf(Json items, std::size_t least, std::size_t most) {
  Json schema = ListOf(std::move(items));
  if (least > 0) schema["minItems"] = least;
  schema["maxItems"] = most;
  return schema;
}

Json TokenId() { return Integer(0, std::numeric_limits<std::int32_t>::max()); }

Json OrNull(Json schema) {
  if (schema.empty()) return schema;
  if (schema.contains("const")) {
    schema["enum"] = Json::array({std::move(schema["const"]), nullptr});
    schema.erase("const");
  } else if (schema.contains("enum")) {
    schema["enum"].push_back(nullptr);
  } else if (schema.contains("type") && schema["type"].is_string()) {
    schema["type"] = Json::array({std::move(schema["type"]), "null"});
  } else if (schema.contains("anyOf")) {
    schema["anyOf"].push_back(Null());
  } else {
    return AnyOf({std::move(schema), Null()});
  }
  return schema;
}

Json Record(const Members& required, const Members& optional) {
  Json schema{{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}, {"additionalProperties", false}};
  for (const auto& [name, member] : required) {
    schema["properties"][name] = member;
    schema["required"].push_back(name);
  }
  for (const auto& [name, member] : optional) schema["properties"][name] = member;
  return schema;
}

}  // namespace cllm::words
