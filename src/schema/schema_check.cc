#include "schema/schema_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "schema/ecma_pattern.h"
#include "schema/json_value.h"
#include "schema/keyword_table.h"
#include "schema/schema_merge.h"
#include "schema/schema_validator.h"
#include "schema/schema_walk.h"

namespace cllm {
namespace {

bool IsFalse(const Json& schema) { return schema.is_boolean() && !schema.get<bool>(); }

// A keyword that has no effect with this value.
bool IsIdle(const std::string& name, const Json& value) {
  return (name == "uniqueItems" || name == "nullable") && value.is_boolean() && !value.get<bool>();
}

// Each node is checked into the schema that is enforced for it; Json(false) stands for one that no value fits, which its parent then
// leaves out or passes on.
class SchemaChecker {
 public:
  SchemaChecker(const Json& root, SchemaMode mode, const StopCheck& stop) : walk_(root, mode, stop) {}
  Result<CheckedSchema> Run();

 private:
  struct Part {
    const Json* schema;
    std::string pointer;
  };

  Json Checked(const Json& schema, const std::string& pointer, int depth);
  std::optional<Json> OwnKeywords(const Json& schema, const std::string& pointer);
  std::optional<Json> Merged(const Json& schema, const std::string& pointer);
  void MergePart(std::optional<Json>& merged, const Json& part, const std::string& pointer);
  void AppendAllOf(std::vector<Part>& parts, const Json& schema, const std::string& pointer);
  Json CheckedValues(const Json& keywords, const std::string& pointer);
  Json ValuesThatFit(const Json& values, const Json& others, const std::string& pointer);
  Json CheckedBranches(Json keywords, const std::string& pointer, int depth);
  Json CheckedTypes(const Json& keywords, const std::string& pointer, int depth);
  Json CheckedType(TypeSet type, const Json& keywords, const std::string& pointer, int depth);
  Json CheckedArray(const Json& keywords, const std::string& pointer, int depth);
  Json CheckedObject(const Json& keywords, const std::string& pointer, int depth);
  Json CheckedMap(const Json& keywords, const std::string& pointer, int depth);
  Json CheckedProperties(const Json& keywords, const Json& rest, const std::unordered_set<std::string>& required,
                         const std::string& pointer, int depth);
  Json CheckedRest(const Json& keywords, const std::string& pointer, int depth);
  bool BoundMembers(Json& checked, const Json& keywords, const std::string& pointer);
  std::vector<std::string> RequiredNames(const Json& keywords, const std::string& pointer);
  TypeSet TypesOf(const Json& keywords, const std::string& pointer);
  Json Reference(const Json& reference, const std::string& pointer);

  SchemaWalk walk_;
};

Result<CheckedSchema> SchemaChecker::Run() {
  if (WeightOf(walk_.root()) > kMostSchemaBytes) {
    walk_.Fail("", "schema", fmt::format("is larger than {} bytes", kMostSchemaBytes));
  }
  CheckedSchema checked;
  checked.enforced = Checked(walk_.root(), "", 0);
  if (IsFalse(checked.enforced)) walk_.Fail("", "schema", "has no value that fits it");
  Json definitions = Json::object();
  while (const auto definition = walk_.TakeDefinition()) {
    Json enforced = Checked(*definition->target.schema, definition->target.pointer, 0);
    if (walk_.has_failed()) break;
    if (IsFalse(enforced)) walk_.Fail(definition->target.pointer, "schema", "has no value that fits it");
    definitions.get_ref<Json::object_t&>().Container::emplace_back(definition->name, std::move(enforced));
  }
  // Where all is allowed nothing refers to them: whatever did was left out.
  if (!walk_.has_failed() && !definitions.empty() && checked.enforced.is_object()) checked.enforced["$defs"] = std::move(definitions);
  if (!walk_.has_failed()) {
    if (const auto cycle = EmptyCycle(checked.enforced)) {
      walk_.Fail(*cycle, "$ref", "leads back to itself, or to one that does, and nothing is consumed");
    }
    if (const auto endless = EndlessSchema(checked.enforced)) {
      walk_.Fail(*endless, "schema", "has no value that fits it: each would have to hold another one");
    }
  }
  if (walk_.has_failed()) return std::unexpected(walk_.error());
  checked.relaxed_pointers = walk_.TakeRelaxed();
  return checked;
}

Json SchemaChecker::Checked(const Json& schema, const std::string& pointer, int depth) {
  if (!walk_.Enter(pointer, depth)) return true;
  std::optional<Json> merged = Merged(schema, pointer);
  if (walk_.has_failed() || !merged) return !walk_.has_failed() ? Json(false) : Json(true);
  Json keywords = std::move(*merged);
  if (const auto reference = keywords.find("$ref"); reference != keywords.end()) return Reference(*reference, pointer);
  if (keywords.contains("const") || keywords.contains("enum")) return CheckedValues(keywords, pointer);
  if (keywords.contains("anyOf") || keywords.contains("oneOf")) return CheckedBranches(std::move(keywords), pointer, depth);
  return CheckedTypes(keywords, pointer, depth);
}

Json SchemaChecker::Reference(const Json& reference, const std::string& pointer) {
  const auto target = walk_.Resolve(reference, pointer);
  if (!target) return true;
  return {{"$ref", target->pointer.empty() ? "#" : "#/$defs/" + walk_.DefinitionOf(*target)}};
}

// The types that `type` names; an error where it names none.
TypeSet SchemaChecker::TypesOf(const Json& keywords, const std::string& pointer) {
  const auto type = keywords.find("type");
  if (type == keywords.end()) return kAnyType;
  for (const Json& name : type->is_array() ? *type : Json::array({*type})) {
    if (!name.is_string() || TypeSetOf(name.get_ref<const std::string&>()) == 0) walk_.Fail(pointer, "type", "must name types");
  }
  return DeclaredTypes(keywords);
}

// What the schema object itself says that is enforced in some places; the rest is found. Nothing where it is false.
std::optional<Json> SchemaChecker::OwnKeywords(const Json& schema, const std::string& pointer) {
  Json kept = Json::object();
  if (schema.is_boolean()) return schema.get<bool>() ? std::optional(kept) : std::nullopt;
  if (!schema.is_object()) {
    walk_.Fail(pointer, "schema", "must be an object or a boolean");
    return kept;
  }
  const TypeSet types = TypesOf(schema, pointer);
  const bool is_embedded = !pointer.empty() && schema.contains("$id") && schema["$id"].is_string();
  // A string that reads so is refused as well: rare, and no harm.
  if (is_embedded && CanonicalText(schema).find("4:$ref") != std::string::npos) {
    walk_.Fail(pointer, "$id", "is not supported below the root where a $ref stands in its schema");
  }
  for (const auto& [name, value] : schema.get_ref<const Json::object_t&>()) {
    const SchemaKeyword* const keyword = FindSchemaKeyword(name);
    if (keyword == nullptr) {
      walk_.Find({pointer, name, "is no keyword that is known"});
    } else if (keyword->generated == Generated::kNo && (keyword->types & types) != 0 && !IsIdle(name, value)) {
      walk_.Find({pointer, name, "is not enforced"});
    } else if (keyword->generated == Generated::kYes || keyword->generated == Generated::kPartly) {
      kept.get_ref<Json::object_t&>().Container::emplace_back(name, value);
    }
  }
  return kept;
}

void SchemaChecker::AppendAllOf(std::vector<Part>& parts, const Json& schema, const std::string& pointer) {
  const auto all = schema.find("allOf");
  if (!schema.is_object() || all == schema.end()) return;
  const std::string below = PointerBelow(pointer, "allOf");
  if (!all->is_array() || all->empty()) return walk_.Fail(pointer, "allOf", "must be an array of schemas that isn't empty");
  for (std::size_t i = 0; i < all->size(); ++i) parts.push_back({&(*all)[i], PointerBelow(below, std::to_string(i))});
}

void SchemaChecker::MergePart(std::optional<Json>& merged, const Json& part, const std::string& pointer) {
  if (part.empty()) return;
  if (!merged) {
    merged = part;
  } else if (const auto keyword = MergeSchemas(*merged, part)) {
    walk_.Find({pointer, *keyword, "can't be merged with what stands beside it"});
  }
}

// The schema and all of its allOf as one set of keywords. A reference stays one where it is all that there is; beside others its target
// is one of the parts. Nothing where a part is false.
std::optional<Json> SchemaChecker::Merged(const Json& schema, const std::string& pointer) {
  constexpr std::size_t kMostParts = 256;
  std::vector<Part> parts = {{&schema, pointer}};
  std::vector<Part> references;
  std::optional<Json> merged;
  for (std::size_t i = 0; i < parts.size() && !walk_.has_failed(); ++i) {
    if (parts.size() + references.size() > kMostParts) {
      walk_.Fail(pointer, "allOf",
                 fmt::format("or its references make one schema of more than {}, or lead back to themselves", kMostParts));
      break;
    }
    const Part part = parts[i];
    std::optional<Json> own = OwnKeywords(*part.schema, part.pointer);
    if (!own) return std::nullopt;
    AppendAllOf(parts, *part.schema, part.pointer);
    own->erase("allOf");
    if (own->contains("$ref")) {
      references.push_back({&(*part.schema)["$ref"], part.pointer});
      own->erase("$ref");
    }
    if (i > 0 && !walk_.Copy(part.pointer, *own)) break;
    MergePart(merged, *own, part.pointer);
    const bool is_last = i + 1 == parts.size();
    if (!is_last || references.empty() || (references.size() == 1 && !merged)) continue;
    for (const Part& reference : std::exchange(references, {})) {
      if (auto target = walk_.Resolve(*reference.schema, reference.pointer)) parts.push_back({target->schema, target->pointer});
    }
  }
  if (references.size() == 1 && !walk_.has_failed()) return Json{{"$ref", *references[0].schema}};
  return merged ? std::move(*merged) : Json::object();
}

// Of the values, those that fit all else that the schema says, so that the list alone is to be enforced.
Json SchemaChecker::ValuesThatFit(const Json& values, const Json& others, const std::string& pointer) {
  if (others.empty()) return values;
  const Result<SchemaValidator> validator = SchemaValidator::Compile(others);
  if (!validator) {  // it has references, say
    walk_.Find({pointer, others.begin().key(), "is not enforced beside a list of values"});
    return values;
  }
  Json kept = Json::array();
  for (const Json& value : values) {
    if (validator->Validate(value)) kept.push_back(value);
  }
  return kept;
}

Json SchemaChecker::CheckedValues(const Json& keywords, const std::string& pointer) {
  const bool is_constant = keywords.contains("const");
  const char* const keyword = is_constant ? "const" : "enum";
  const Json values = is_constant ? Json::array({keywords["const"]}) : keywords["enum"];
  if (!values.is_array()) return walk_.Fail(pointer, "enum", "must be an array"), true;
  if (values.size() > kMostEnumValues) walk_.Fail(pointer, "enum", fmt::format("has more than {} values", kMostEnumValues));
  Json others = keywords;
  others.erase(keyword);
  const Json kept = walk_.has_failed() ? Json::array() : ValuesThatFit(values, others, pointer);
  if (kept.empty()) return false;
  std::vector<const Json*> open;
  for (const Json& value : kept) open.push_back(&value);
  while (!open.empty()) {  // the compiler writes them as it reads them, into 64 bits
    const Json& value = *open.back();
    open.pop_back();
    if (value.is_structured()) {
      for (const Json& item : value) open.push_back(&item);
    }
    if (value.is_number_unsigned() && !AsInteger(value)) {
      walk_.Find({pointer, keyword, "is not enforced with integers from 2^63 on"});
      return true;
    }
  }
  return is_constant ? Json{{"const", kept[0]}} : Json{{"enum", kept}};
}

// anyOf, and oneOf where it says the same; what stands beside them becomes a part of each branch.
Json SchemaChecker::CheckedBranches(Json keywords, const std::string& pointer, int depth) {
  const char* keyword = keywords.contains("anyOf") ? "anyOf" : "oneOf";
  if (keywords.contains("anyOf") && keywords.contains("oneOf")) {
    walk_.Find({pointer, "oneOf", "is not enforced beside 'anyOf'"});
    keywords.erase("oneOf");
  }
  const Json branches = keywords[keyword];
  if (!branches.is_array() || branches.empty()) {
    return walk_.Fail(pointer, keyword, "must be an array of schemas that isn't empty"), true;
  }
  if (keyword == std::string_view("oneOf") && !AreDisjoint(walk_, branches)) {
    walk_.Find({pointer, "oneOf",
                "is enforced only where no value can fit two of its schemas: by type, const, enum or a required property of these"});
  }
  keywords.erase(keyword);
  Json checked = Json::array();
  for (std::size_t i = 0; i < branches.size() && !walk_.has_failed(); ++i) {
    const std::string below = PointerBelow(PointerBelow(pointer, keyword), std::to_string(i));
    Json branch = Checked(keywords.empty() ? branches[i] : Json{{"allOf", Json::array({keywords, branches[i]})}}, below, depth + 1);
    if (!IsFalse(branch)) checked.push_back(std::move(branch));
  }
  if (checked.empty()) return false;
  return checked.size() == 1 ? checked[0] : Json{{"anyOf", std::move(checked)}};
}

// One schema for each type. Where none is named, keywords tell it, as they do for the grammar compiler with objects and arrays.
Json SchemaChecker::CheckedTypes(const Json& keywords, const std::string& pointer, int depth) {
  TypeSet types = TypesOf(keywords, pointer);
  if (walk_.has_failed()) return true;
  if (!keywords.contains("type")) {
    TypeSet told = 0;
    for (const auto& [name, value] : keywords.get_ref<const Json::object_t&>()) {
      const SchemaKeyword* const keyword = FindSchemaKeyword(name);
      if (keyword != nullptr && keyword->types != kAnyType) told |= keyword->types;
    }
    if (told == 0) return true;
    for (const TypeSet type : {kObjectType, kArrayType, kStringType, kNumberType}) {
      if ((told & type) != 0) {
        types = type;
        break;
      }
    }
  }
  Json checked = Json::array();
  const Json names = TypesAsJson(types);
  for (const Json& name : names.is_array() ? names : Json::array({names})) {
    Json one = CheckedType(TypeSetOf(name.get_ref<const std::string&>()), keywords, pointer, depth);
    if (!IsFalse(one)) checked.push_back(std::move(one));
  }
  if (checked.empty()) return false;
  return checked.size() == 1 ? checked[0] : Json{{"anyOf", std::move(checked)}};
}

Json SchemaChecker::CheckedType(TypeSet type, const Json& keywords, const std::string& pointer, int depth) {
  switch (type) {
    case kNullType:
      return {{"type", "null"}};
    case kBooleanType:
      return {{"type", "boolean"}};
    case kStringType:
      return CheckedString(walk_, keywords, pointer);
    case kArrayType:
      return CheckedArray(keywords, pointer, depth);
    case kObjectType:
      return keywords.contains("patternProperties") ? CheckedMap(keywords, pointer, depth) : CheckedObject(keywords, pointer, depth);
    default:
      return CheckedNumber(walk_, keywords, pointer, type == kIntegerType);
  }
}

Json SchemaChecker::CheckedArray(const Json& keywords, const std::string& pointer, int depth) {
  Json prefix = keywords.contains("prefixItems") ? keywords["prefixItems"] : Json::array();
  if (!prefix.is_array()) return walk_.Fail(pointer, "prefixItems", "must be an array"), true;
  constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();
  const std::int64_t least = CountOf(walk_, keywords, "minItems", pointer).value_or(0);
  std::int64_t most = CountOf(walk_, keywords, "maxItems", pointer).value_or(kUnbounded);
  Json rest = keywords.contains("items") ? Checked(keywords["items"], PointerBelow(pointer, "items"), depth + 1) : Json(true);
  Json first = Json::array();
  for (std::size_t i = 0; i < prefix.size() && !walk_.has_failed(); ++i) {
    Json item = Checked(prefix[i], PointerBelow(PointerBelow(pointer, "prefixItems"), std::to_string(i)), depth + 1);
    if (IsFalse(item)) {  // the array ends before it
      rest = false;
      break;
    }
    first.push_back(item.is_boolean() ? Json::object() : std::move(item));  // the compiler takes no booleans here
  }
  if (most <= static_cast<std::int64_t>(first.size())) {  // the compiler doesn't cut them off
    first.erase(first.begin() + most, first.end());
    rest = false;
  }
  if (IsFalse(rest)) most = kUnbounded;
  if (least > (IsFalse(rest) ? static_cast<std::int64_t>(first.size()) : most)) return false;
  Json checked = {{"type", "array"}};
  if (!first.empty()) checked["prefixItems"] = std::move(first);
  if (keywords.contains("items") || IsFalse(rest)) checked["items"] = std::move(rest);
  if (least > 0) checked["minItems"] = least;
  if (most != kUnbounded) checked["maxItems"] = most;
  return checked;
}

std::vector<std::string> SchemaChecker::RequiredNames(const Json& keywords, const std::string& pointer) {
  std::vector<std::string> names;
  const auto required = keywords.find("required");
  if (required == keywords.end()) return names;
  std::unordered_set<std::string> known;
  for (const Json& name : required->is_array() ? *required : Json::array({nullptr})) {
    if (!name.is_string()) {
      walk_.Fail(pointer, "required", "must be an array of names");
      break;
    }
    if (known.insert(name.get<std::string>()).second) names.push_back(name.get<std::string>());
  }
  return names;
}

// minProperties and maxProperties. Nothing keeps the compiler from writing a free name twice, which counts as one. False where no value
// fits.
bool SchemaChecker::BoundMembers(Json& checked, const Json& keywords, const std::string& pointer) {
  const auto least = CountOf(walk_, keywords, "minProperties", pointer);
  const auto most = CountOf(walk_, keywords, "maxProperties", pointer);
  const auto required = static_cast<std::int64_t>(checked.contains("required") ? checked["required"].size() : 0);
  const bool is_closed =
      checked.contains("additionalProperties") && IsFalse(checked["additionalProperties"]) && !checked.contains("patternProperties");
  const auto properties = static_cast<std::int64_t>(checked.contains("properties") ? checked["properties"].size() : 0);
  if (most && (*most < required || (least && *least > *most))) return false;
  if (is_closed && least && *least > properties) return false;
  if (most) checked["maxProperties"] = *most;
  if (!least || *least <= required) return true;
  if (*least > 1 && !is_closed) {
    walk_.Find({pointer, "minProperties", "is enforced above 1 only where 'additionalProperties' is false"});
  } else {
    checked["minProperties"] = *least;
  }
  return true;
}

// What names that aren't properties may hold.
Json SchemaChecker::CheckedRest(const Json& keywords, const std::string& pointer, int depth) {
  if (!keywords.contains("additionalProperties")) return true;
  return Checked(keywords["additionalProperties"], PointerBelow(pointer, "additionalProperties"), depth + 1);
}

// Properties in their order, and behind them those that are required without being listed. Json(false) where one is required that no value
// fits.
Json SchemaChecker::CheckedProperties(const Json& keywords, const Json& rest, const std::unordered_set<std::string>& required,
                                      const std::string& pointer, int depth) {
  const Json listed = keywords.contains("properties") ? keywords["properties"] : Json::object();
  if (!listed.is_object()) return walk_.Fail(pointer, "properties", "must be an object"), true;
  Json properties = Json::object();
  for (const auto& [name, schema] : listed.get_ref<const Json::object_t&>()) {
    const std::string below = PointerBelow(PointerBelow(pointer, "properties"), name);
    Json property = Checked(schema, below, depth + 1);
    if (walk_.has_failed()) return true;
    if (IsFalse(property)) {
      if (required.contains(name)) return false;
      if (IsFalse(rest)) continue;
      walk_.Find({below, "false", "is not enforced for a property unless 'additionalProperties' is false"});
      property = true;
    }
    properties.get_ref<Json::object_t&>().Container::emplace_back(name, std::move(property));
  }
  return properties;
}

Json SchemaChecker::CheckedObject(const Json& keywords, const std::string& pointer, int depth) {
  const std::vector<std::string> required = RequiredNames(keywords, pointer);
  const Json rest = CheckedRest(keywords, pointer, depth);
  Json properties = CheckedProperties(keywords, rest, {required.begin(), required.end()}, pointer, depth);
  if (walk_.has_failed() || !properties.is_object()) return properties;
  std::unordered_set<std::string> known;
  for (const auto& [name, schema] : properties.get_ref<const Json::object_t&>()) known.insert(name);
  for (const std::string& name : required) {  // the compiler looks for required names among the properties only
    if (known.contains(name)) continue;
    if (IsFalse(rest)) return false;
    if (!walk_.Enter(pointer, depth) || !walk_.Copy(pointer, rest)) return true;
    properties.get_ref<Json::object_t&>().Container::emplace_back(name, rest);
  }
  Json checked = {{"type", "object"}};
  if (!properties.empty()) checked["properties"] = std::move(properties);
  if (!required.empty()) checked["required"] = required;
  if (keywords.contains("additionalProperties")) checked["additionalProperties"] = rest;
  // The compiler knows a name by its bytes, so one that is written with escapes may come as a name that isn't listed.
  const bool is_open = keywords.contains("additionalProperties") && !IsFalse(rest);
  const auto has_escapes = [](const auto& property) { return Dump(property.first).size() != property.first.size() + 2; };
  if (is_open && checked.contains("properties") &&
      std::ranges::any_of(checked["properties"].get_ref<const Json::object_t&>(), has_escapes)) {
    walk_.Find(
        {pointer, "additionalProperties", "is not enforced beside a property whose name has quotes, backslashes or control characters"});
    checked["additionalProperties"] = false;
  }
  return BoundMembers(checked, keywords, pointer) ? checked : Json(false);
}

// An object whose names fit one pattern; the compiler then generates no others.
Json SchemaChecker::CheckedMap(const Json& keywords, const std::string& pointer, int depth) {
  const Json& patterns = keywords["patternProperties"];
  if (!patterns.is_object()) return walk_.Fail(pointer, "patternProperties", "must be an object"), true;
  std::string reason;
  if (keywords.contains("properties")) reason = "beside 'properties'";
  if (!RequiredNames(keywords, pointer).empty()) reason = "beside 'required'";
  if (patterns.size() != 1) reason = "unless it has one pattern";
  if (reason.empty()) {
    const std::string& pattern = patterns.begin().key();
    const Result<std::string> readable = PatternForRe2(pattern);
    if (!readable) {
      reason = fmt::format("with this pattern: {}", readable.error().message);
    } else if (const auto why = WhyNotGenerated(pattern)) {
      reason = fmt::format("with this pattern: it {}", *why);
    }
  }
  if (!reason.empty()) {
    walk_.Find({pointer, "patternProperties", fmt::format("is not enforced {}", reason)});
    Json relaxed = keywords;  // names that fit a pattern aren't additional ones: what is said of these can't be kept either
    relaxed.erase("patternProperties");
    relaxed.erase("additionalProperties");
    return CheckedObject(relaxed, pointer, depth);
  }
  const std::string below = PointerBelow(PointerBelow(pointer, "patternProperties"), patterns.begin().key());
  Json value = Checked(*patterns.begin(), below, depth + 1);
  if (walk_.has_failed()) return true;
  Json checked = {{"type", "object"}};
  if (IsFalse(value)) {
    walk_.Find({below, "false", "is not enforced"});
    return checked;
  }
  checked["patternProperties"] = Json::object({{patterns.begin().key(), std::move(value)}});
  checked["additionalProperties"] = false;
  return BoundMembers(checked, keywords, pointer) ? checked : Json(false);
}

}  // namespace

Result<CheckedSchema> CheckSchema(const Json& schema, SchemaMode mode, const StopCheck& stop) {
  return SchemaChecker(schema, mode, stop).Run();
}

}  // namespace cllm
