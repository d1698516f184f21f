#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/json.h"

namespace cllm {
namespace {

constexpr int kMostShapeDepth = 6;
constexpr int kMostShapeNodes = 2'000;

class ShapeReader {
 public:
  explicit ShapeReader(const Json& root) : root_(root) {}

  Json Read(const Json& schema, int depth) {
    if (!schema.is_object() || depth > kMostShapeDepth || ++nodes_ > kMostShapeNodes) return Json::object();
    if (const Json* target = Target(schema)) return Read(*target, depth + 1);
    Json shape = Json::object();
    for (const char* name : {"type", "enum", "const", "required"}) {
      if (const auto value = schema.find(name); value != schema.end() && IsKnown(name, *value)) shape[name] = *value;
    }
    if (const auto items = schema.find("items"); items != schema.end() && items->is_object()) shape["items"] = Read(*items, depth + 1);
    for (const char* name : {"anyOf", "oneOf", "allOf"}) {
      const auto choices = schema.find(name);
      if (choices == schema.end() || !choices->is_array() || choices->empty()) continue;
      shape[name] = Json::array();
      for (const Json& choice : *choices) shape[name].push_back(Read(choice, depth + 1));
    }
    const auto properties = schema.find("properties");
    if (properties == schema.end() || !properties->is_object()) return shape;
    shape["properties"] = Json::object();
    for (const auto& [name, property] : properties->items()) shape["properties"][name] = Read(property, depth + 1);
    return shape;
  }

 private:
  static bool IsType(const Json& type) {
    constexpr std::array<std::string_view, 7> kTypes = {"null", "boolean", "number", "integer", "string", "array", "object"};
    return type.is_string() && std::ranges::find(kTypes, type.get_ref<const std::string&>()) != kTypes.end();
  }
  static bool IsKnown(std::string_view name, const Json& value) {
    if (name == "const") return true;
    if (name == "type" && !value.is_array()) return IsType(value);
    if (!value.is_array() || value.empty()) return false;
    return name == "enum" ||
           std::ranges::all_of(value, [name](const Json& item) { return name == "type" ? IsType(item) : item.is_string(); });
  }

  const Json* Target(const Json& schema) const {
    const auto reference = schema.find("$ref");
    if (reference == schema.end() || !reference->is_string()) return nullptr;
    const std::string path = reference->get<std::string>();
    if (!path.starts_with("#/")) return nullptr;
    try {
      return &root_.at(Json::json_pointer(path.substr(1)));
    } catch (const Json::exception&) {
      return nullptr;
    }
  }

  const Json& root_;
  int nodes_ = 0;
};

}  // namespace

std::string QuotedAsJson(std::string_view text) { return Dump(Json(std::string(text))); }

bool IsJson(std::string_view text) { return Json::accept(text); }

std::string ShapeOfSchema(std::string_view schema) {
  const Result<Json> json = ParseJsonObject(schema);
  return json ? Dump(ShapeReader(*json).Read(*json, 0)) : "{}";
}

std::vector<SchemaArgument> ArgumentsOfSchema(std::string_view schema) {
  const Result<Json> json = ParseJsonObject(schema);
  if (!json || !json->contains("properties") || !json->at("properties").is_object()) return {};
  const Json required = json->value("required", Json::array());
  std::vector<SchemaArgument> arguments;
  for (const auto& [name, property] : json->at("properties").items()) {
    arguments.push_back({.name = name, .is_required = std::ranges::find(required, Json(name)) != required.end()});
  }
  return arguments;
}

}  // namespace cllm
