#include "schema/schema_walk.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "schema/json_value.h"

namespace cllm {
namespace {

constexpr int kBetweenStops = 64;
constexpr std::size_t kMostCopiedBytes = 4 << 20;

std::string_view LastToken(std::string_view pointer) { return pointer.substr(std::min(pointer.rfind('/') + 1, pointer.size())); }

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

// The references that a schema reaches without consuming anything: its own, and those of its branches.
void AppendEmptyReferences(const Json& schema, std::vector<std::string>& names) {
  std::vector<const Json*> open = {&schema};
  while (!open.empty()) {
    const Json& at = *open.back();
    open.pop_back();
    if (!at.is_object()) continue;
    if (const auto reference = at.find("$ref"); reference != at.end()) names.push_back(reference->get<std::string>());
    if (const auto branches = at.find("anyOf"); branches != at.end()) {
      for (const Json& branch : *branches) open.push_back(&branch);
    }
  }
}

using NameSet = std::unordered_set<std::string>;

bool CanEnd(const Json& schema, const NameSet& ending);

// Of an array: the items that have to be there.
bool CanItemsEnd(const Json& schema, const NameSet& ending) {
  const std::size_t least = schema.value("minItems", std::size_t{0});
  const auto prefix = schema.find("prefixItems");
  const std::size_t listed = prefix == schema.end() ? 0 : prefix->size();
  for (std::size_t i = 0; i < std::min(least, listed); ++i) {
    if (!CanEnd((*prefix)[i], ending)) return false;
  }
  return least <= listed || !schema.contains("items") || CanEnd(schema["items"], ending);
}

// Of an object: the properties that have to be there.
bool CanPropertiesEnd(const Json& schema, const NameSet& ending) {
  const auto names = schema.find("required");
  const auto properties = schema.find("properties");
  if (names == schema.end() || properties == schema.end()) return true;
  std::unordered_set<std::string_view> required;
  for (const Json& name : *names) required.insert(name.get_ref<const std::string&>());
  return std::ranges::all_of(properties->get_ref<const Json::object_t&>(),
                             [&](const auto& property) { return !required.contains(property.first) || CanEnd(property.second, ending); });
}

// Whether a value of the schema needs nothing but schemas that are known to have one. As deep as an enforced schema is.
bool CanEnd(const Json& schema, const NameSet& ending) {
  if (!schema.is_object()) return true;
  if (const auto reference = schema.find("$ref"); reference != schema.end()) return ending.contains(reference->get<std::string>());
  if (const auto branches = schema.find("anyOf"); branches != schema.end()) {
    return std::ranges::any_of(*branches, [&](const Json& branch) { return CanEnd(branch, ending); });
  }
  return CanItemsEnd(schema, ending) && CanPropertiesEnd(schema, ending);
}

}  // namespace

std::size_t WeightOf(const Json& json) {
  std::size_t weight = 0;
  std::vector<const Json*> open = {&json};
  while (!open.empty()) {
    const Json& at = *open.back();
    open.pop_back();
    weight += 8;
    if (at.is_string()) weight += at.get_ref<const std::string&>().size();
    if (at.is_array()) {
      for (const Json& item : at) open.push_back(&item);
    } else if (at.is_object()) {
      for (const auto& [name, value] : at.get_ref<const Json::object_t&>()) {
        weight += name.size();
        open.push_back(&value);
      }
    }
  }
  return weight;
}

std::string InWords(const SchemaFinding& finding) {
  return fmt::format("{}: '{}' {}", finding.pointer.empty() ? "the schema" : Shortened(finding.pointer, 200), Shortened(finding.keyword),
                     finding.message);
}

bool SchemaWalk::Enter(const std::string& pointer, int depth) {
  if (error_) return false;
  if (++nodes_ > kMostSchemaNodes) {
    Fail(pointer, "schema", fmt::format("is one of more than {} that the schema consists of", kMostSchemaNodes));
  } else if (depth > kMostSchemaDepth) {
    Fail(pointer, "schema", fmt::format("is nested more than {} deep", kMostSchemaDepth));
  } else if (stop_ && nodes_ % kBetweenStops == 0) {
    if (const Status status = stop_(); !status) error_ = status.error();
  }
  return !error_;
}

bool SchemaWalk::Copy(const std::string& pointer, const Json& schema) {
  copied_ += WeightOf(schema);
  if (copied_ > kMostCopiedBytes) Fail(pointer, "allOf", "and its like, merged, make the schema too large");
  return !error_;
}

void SchemaWalk::Find(SchemaFinding finding) {
  if (error_) return;
  if (mode_ == SchemaMode::kStrict) return Fail(finding.pointer, finding.keyword, finding.message);
  relaxed_.push_back(finding.keyword == "false" ? finding.pointer : PointerBelow(finding.pointer, finding.keyword));
}

void SchemaWalk::Fail(const std::string& pointer, std::string_view keyword, std::string_view message) {
  if (error_) return;
  error_ = Error{ErrorCode::kInvalidArgument, InWords({pointer, std::string(keyword), std::string(message)}), {}, 0};
}

std::optional<SchemaTarget> SchemaWalk::Resolve(const Json& reference, const std::string& pointer) {
  if (!reference.is_string()) {
    Fail(pointer, "$ref", "must be a string");
    return std::nullopt;
  }
  Result<SchemaTarget> target = ResolveReference(root_, reference.get_ref<const std::string&>());
  if (target) return std::move(*target);
  Fail(pointer, "$ref", fmt::format("can't be followed: {}", target.error().message));
  return std::nullopt;
}

std::string SchemaWalk::DefinitionOf(const SchemaTarget& target) {
  const auto known = name_of_.find(target.pointer);
  if (known != name_of_.end()) return known->second;
  std::string name(LastToken(target.pointer));
  if (!IsPlainName(name)) name = "d";
  if (names_.contains(name)) name = fmt::format("{}.{}", name, definitions_.size());
  while (names_.contains(name)) name += '_';
  names_.emplace(name, true);
  name_of_.emplace(target.pointer, name);
  definitions_.push_back({name, target});
  return name;
}

std::optional<SchemaWalk::Definition> SchemaWalk::TakeDefinition() {
  if (taken_ == definitions_.size()) return std::nullopt;
  return definitions_[taken_++];
}

std::optional<std::string> EndlessSchema(const Json& enforced) {
  constexpr int kMostRounds = 64;
  std::vector<std::pair<std::string, const Json*>> open = {{"#", &enforced}};
  if (enforced.is_object() && enforced.contains("$defs")) {
    for (const auto& [name, schema] : enforced["$defs"].get_ref<const Json::object_t&>()) open.emplace_back("#/$defs/" + name, &schema);
  }
  NameSet ending;
  for (int round = 0; round < kMostRounds && !open.empty(); ++round) {
    // Backwards: what is referred to mostly stands behind what refers to it.
    const std::size_t before = ending.size();
    for (auto at = open.rbegin(); at != open.rend(); ++at) {
      if (CanEnd(*at->second, ending)) ending.insert(at->first);
    }
    if (ending.size() == before) return open.front().first;
    std::erase_if(open, [&](const auto& one) { return ending.contains(one.first); });
  }
  return std::nullopt;
}

std::optional<std::string> EmptyCycle(const Json& enforced) {
  // Takes away whoever refers to nobody that is left: what remains lies on a cycle or leads to one.
  std::unordered_map<std::string, std::vector<std::string>> referrers;
  std::unordered_map<std::string, std::size_t> open_references;
  std::vector<std::string> done;
  const auto add = [&](const std::string& name, const Json& schema) {
    std::vector<std::string> names;
    AppendEmptyReferences(schema, names);
    open_references[name] = names.size();
    for (const std::string& target : names) referrers[target].push_back(name);
    if (names.empty()) done.push_back(name);
  };
  add("#", enforced);
  if (enforced.is_object() && enforced.contains("$defs")) {
    for (const auto& [name, schema] : enforced["$defs"].get_ref<const Json::object_t&>()) add("#/$defs/" + name, schema);
  }
  for (std::size_t i = 0; i < done.size(); ++i) {
    for (const std::string& referrer : referrers[done[i]]) {
      if (--open_references[referrer] == 0) done.push_back(referrer);
    }
  }
  for (const auto& [name, count] : open_references) {
    if (count > 0) return name;
  }
  return std::nullopt;
}

}  // namespace cllm
