#include "api/field_recorder.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "api/schema_words.h"

namespace cllm {
namespace {

// Of patterns; readers of schemas bound them.
constexpr std::size_t kMostPatternBytes = 500;

Json SchemaOfOther(const KnownField& field) {
  if (field.nothing == nullptr) return {{"description", "changes no answer"}};
  Json values = Json::parse(field.nothing);
  values.push_back(nullptr);
  return {{"description", "not supported: what asks for nothing is let in"}, {"enum", std::move(values)}};
}

// The fields of peers: names with one schema share a pattern.
Json PatternsOf(const KnownFields& others, const Json& properties) {
  std::vector<std::pair<std::string, Json>> groups;  // alternatives of names, and their schema
  std::vector<std::string_view> seen;
  others.ForEach([&](const KnownField& field) {
    if (properties.contains(field.name) || std::ranges::find(seen, field.name) != seen.end()) return;
    seen.emplace_back(field.name);
    Json schema = SchemaOfOther(field);
    const auto has_room = [&](const auto& group) { return group.second == schema && group.first.size() < kMostPatternBytes; };
    const auto group = std::ranges::find_if(groups, has_room);
    if (group == groups.end()) {
      groups.emplace_back(field.name, std::move(schema));
    } else {
      group->first += fmt::format("|{}", field.name);
    }
  });
  Json patterns = Json::object();
  for (auto& [names, schema] : groups) patterns[fmt::format("^({})$", names)] = std::move(schema);
  return patterns;
}

}  // namespace

void FieldRecorder::Add(std::string_view name, Json schema) {
  Json& property = properties_[std::string(name)];
  if (property.is_null() || property.empty()) property = std::move(schema);
}

std::string FieldRecorder::Tag(std::string_view name, std::span<const char* const> values, std::string_view absent) {
  kinds_ = values.size();
  const std::string value = values[kind_];
  properties_[std::string(name)] = {{"const", value}};
  if (value != absent) Require(name);
  return value;
}

void FieldRecorder::Finish(const KnownFields& others, bool is_closed) {
  others_ = others;
  is_closed_ = is_closed;
}

bool FieldRecorder::IsRequired(std::string_view name) const { return std::ranges::find(required_, name) != required_.end(); }

Json FieldRecorder::Schema() const {
  Json schema{{"type", "object"}, {"properties", Json::object()}};
  for (const auto& item : properties_.items()) {
    const bool may_be_null = !IsRequired(item.key());
    schema["properties"][item.key()] = may_be_null ? words::OrNull(item.value()) : item.value();
  }
  if (!required_.empty()) schema["required"] = required_;
  for (const std::string& name : one_of_) {
    Json kind{{"required", Json::array({name})}};
    kind["properties"][name] = {{"not", words::Null()}};
    schema["anyOf"].push_back(std::move(kind));
  }
  if (Json patterns = PatternsOf(others_, properties_); !patterns.empty()) schema["patternProperties"] = std::move(patterns);
  if (is_closed_) schema["additionalProperties"] = false;
  return schema;
}

}  // namespace cllm
