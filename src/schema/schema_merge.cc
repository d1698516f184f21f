#include "schema/schema_merge.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "schema/json_value.h"

namespace cllm {
namespace {

constexpr std::array kObjectKeywords = {"properties", "additionalProperties", "patternProperties"};
constexpr std::array kArrayKeywords = {"items", "prefixItems"};

template <typename Keywords>
bool HasAny(const Json& schema, const Keywords& keywords) {
  return std::ranges::any_of(keywords, [&](const char* keyword) { return schema.contains(keyword); });
}

bool IsAmong(std::string_view name, auto... names) { return ((name == names) || ...); }

bool AreSame(const Json& a, const Json& b) {
  const std::string text = CanonicalText(a);
  return !text.empty() && text == CanonicalText(b);
}

Json Both(const Json& a, const Json& b) {
  if (a.is_boolean()) return a.get<bool>() ? b : a;
  if (b.is_boolean()) return b.get<bool>() ? a : b;
  return {{"allOf", Json::array({a, b})}};
}

Json MemberOr(const Json& schema, const char* name, Json otherwise) {
  const auto found = schema.find(name);
  return found == schema.end() ? std::move(otherwise) : *found;
}

// What each name is to be: a property's schema where there is one, the schema for all others where not.
std::optional<std::string> MergeProperties(Json& schema, const Json& other) {
  if (!HasAny(other, kObjectKeywords)) return std::nullopt;
  if (!HasAny(schema, kObjectKeywords)) {
    for (const char* keyword : kObjectKeywords) {
      if (other.contains(keyword)) schema[keyword] = other[keyword];
    }
    return std::nullopt;
  }
  if (schema.contains("patternProperties") || other.contains("patternProperties")) return "patternProperties";
  const Json mine = MemberOr(schema, "properties", Json::object());
  const Json others = MemberOr(other, "properties", Json::object());
  if (!mine.is_object() || !others.is_object()) return "properties";
  const Json my_rest = MemberOr(schema, "additionalProperties", true);
  const Json others_rest = MemberOr(other, "additionalProperties", true);
  // By name in linear time: an ordered object looks through all of its members.
  std::unordered_map<std::string_view, const Json*> others_of;
  for (const auto& [name, value] : others.get_ref<const Json::object_t&>()) others_of.emplace(name, &value);
  Json merged = Json::object();
  auto& members = merged.get_ref<Json::object_t&>();
  for (const auto& [name, value] : mine.get_ref<const Json::object_t&>()) {
    const auto found = others_of.find(name);
    members.Container::emplace_back(name, Both(value, found == others_of.end() ? others_rest : *found->second));
    if (found != others_of.end()) others_of.erase(found);
  }
  for (const auto& [name, value] : others.get_ref<const Json::object_t&>()) {
    if (others_of.contains(name)) members.Container::emplace_back(name, Both(my_rest, value));
  }
  schema["properties"] = std::move(merged);
  schema["additionalProperties"] = Both(my_rest, others_rest);
  return std::nullopt;
}

std::optional<std::string> MergeItems(Json& schema, const Json& other) {
  if (!HasAny(other, kArrayKeywords)) return std::nullopt;
  const bool has_any = HasAny(schema, kArrayKeywords);
  for (const char* keyword : kArrayKeywords) {
    if (!has_any && other.contains(keyword)) schema[keyword] = other[keyword];
    if (has_any &&
        (schema.contains(keyword) != other.contains(keyword) || (schema.contains(keyword) && !AreSame(schema[keyword], other[keyword])))) {
      return keyword;
    }
  }
  return std::nullopt;
}

std::optional<std::string> MergeRequired(Json& names, const Json& others) {
  if (!names.is_array() || !others.is_array()) return "required";
  std::unordered_set<std::string> known;
  for (const Json& name : names) {
    if (name.is_string()) known.insert(name.get<std::string>());
  }
  for (const Json& name : others) {
    if (!name.is_string()) return "required";
    if (known.insert(name.get<std::string>()).second) names.push_back(name);
  }
  return std::nullopt;
}

std::optional<std::string> MergeKeyword(Json& schema, const std::string& name, const Json& value) {
  if (name == "type") {
    schema[name] = TypesAsJson(DeclaredTypes(schema) & DeclaredTypes({{"type", value}}));
    return std::nullopt;
  }
  const auto found = schema.find(name);
  if (found == schema.end()) {
    schema[name] = value;
    return std::nullopt;
  }
  if (name == "required") return MergeRequired(*found, value);
  const bool are_numbers = found->is_number() && value.is_number();
  if (are_numbers && IsAmong(name, "minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")) {
    if (CompareNumbers(value, *found) > 0) *found = value;
    return std::nullopt;
  }
  if (are_numbers && IsAmong(name, "maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")) {
    if (CompareNumbers(value, *found) < 0) *found = value;
    return std::nullopt;
  }
  return AreSame(*found, value) ? std::nullopt : std::optional(name);
}

}  // namespace

TypeSet DeclaredTypes(const Json& schema) {
  const auto type = schema.find("type");
  if (type == schema.end()) return kAnyType;
  TypeSet types = 0;
  for (const Json& name : type->is_array() ? *type : Json::array({*type})) {
    if (name.is_string()) types |= TypeSetOf(name.get_ref<const std::string&>());
  }
  return types;
}

Json TypesAsJson(TypeSet types) {
  Json names = Json::array();
  for (const char* name : {"object", "array", "string", "number", "integer", "boolean", "null"}) {
    const TypeSet one = TypeSetOf(name);
    if ((types & one) != one) continue;
    names.push_back(name);
    types &= static_cast<TypeSet>(~one);
  }
  return names.size() == 1 ? names[0] : names;
}

std::optional<std::string> MergeSchemas(Json& schema, const Json& other) {
  std::optional<std::string> in_the_way = MergeProperties(schema, other);
  if (auto items = MergeItems(schema, other)) in_the_way = items;
  for (const auto& [name, value] : other.get_ref<const Json::object_t&>()) {
    if (IsAmong(name, "properties", "additionalProperties", "patternProperties", "items", "prefixItems")) continue;
    if (auto keyword = MergeKeyword(schema, name, value)) in_the_way = keyword;
  }
  return in_the_way;
}

}  // namespace cllm
