// Whether a oneOf is an anyOf: no value fits two of its branches.
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "schema/json_value.h"
#include "schema/schema_merge.h"
#include "schema/schema_walk.h"

namespace cllm {
namespace {

constexpr int kMostReferences = 64;

// What a chain of references ends at; nullptr where it has no end or leads nowhere, which the walk will say by itself.
const Json* EndOfReferences(const SchemaWalk& walk, const Json& schema) {
  const Json* at = &schema;
  for (int i = 0; i < kMostReferences; ++i) {
    if (!at->is_object()) return nullptr;
    const auto reference = at->find("$ref");
    if (reference == at->end()) return at;
    if (!reference->is_string()) return nullptr;
    const Result<SchemaTarget> target = ResolveReference(walk.root(), reference->get_ref<const std::string&>());
    if (!target) return nullptr;
    at = target->schema;
  }
  return nullptr;
}

// The values that `const` or `enum` lists; nullptr where there are none.
std::vector<const Json*> ListedValues(const Json& schema) {
  std::vector<const Json*> values;
  if (const auto constant = schema.find("const"); constant != schema.end()) {
    values.push_back(&*constant);
  } else if (const auto list = schema.find("enum"); list != schema.end() && list->is_array()) {
    for (const Json& value : *list) values.push_back(&value);
  }
  return values;
}

bool IsRequired(const Json& schema, const std::string& name) {
  const auto required = schema.find("required");
  return required != schema.end() && required->is_array() && std::ranges::find(*required, Json(name)) != required->end();
}

// The values of a required property that lists them.
std::vector<const Json*> DiscriminatorValues(const SchemaWalk& walk, const Json& branch, const std::string& name) {
  const auto properties = branch.find("properties");
  if (properties == branch.end() || !properties->is_object() || !properties->contains(name) || !IsRequired(branch, name)) return {};
  const Json* const property = EndOfReferences(walk, (*properties)[name]);
  return property == nullptr ? std::vector<const Json*>() : ListedValues(*property);
}

// Adds them to those that were seen; false where one was.
bool AddAll(std::unordered_set<std::string>& seen, const std::vector<const Json*>& values) {
  std::unordered_set<std::string> own;
  for (const Json* value : values) own.insert(CanonicalText(*value));
  return std::ranges::all_of(own, [&](const std::string& text) { return !text.empty() && seen.insert(text).second; });
}

bool HasDiscriminator(const SchemaWalk& walk, const std::vector<const Json*>& branches) {
  const auto properties = branches[0]->find("properties");
  if (properties == branches[0]->end() || !properties->is_object()) return false;
  constexpr int kMostCandidates = 16;
  int candidates = 0;
  for (const auto& [name, schema] : properties->get_ref<const Json::object_t&>()) {
    if (DiscriminatorValues(walk, *branches[0], name).empty()) continue;
    if (++candidates > kMostCandidates) return false;
    std::unordered_set<std::string> seen;
    const bool tells_apart = std::ranges::all_of(branches, [&](const Json* branch) {
      const auto values = DiscriminatorValues(walk, *branch, name);
      return !values.empty() && AddAll(seen, values);
    });
    if (tells_apart) return true;
  }
  return false;
}

}  // namespace

bool AreDisjoint(SchemaWalk& walk, const Json& branches) {
  TypeSet taken = 0;   // by branches without a list of values
  TypeSet listed = 0;  // by values of lists
  std::unordered_set<std::string> seen;
  std::vector<const Json*> objects;
  for (const Json& branch : branches) {
    const Json* const schema = EndOfReferences(walk, branch);
    if (schema == nullptr) return false;
    if (const auto values = ListedValues(*schema); !values.empty()) {
      for (const Json* value : values) listed |= TypeOfValue(*value);
      if (!AddAll(seen, values)) return false;
      continue;
    }
    TypeSet types = DeclaredTypes(*schema);
    if (types == kObjectType) {
      objects.push_back(schema);
      continue;
    }
    if ((taken & types) != 0) return false;
    taken |= types;
  }
  if (!objects.empty() && (taken & kObjectType) != 0) return false;
  if (!objects.empty()) taken |= kObjectType;
  return (taken & listed) == 0 && (objects.size() < 2 || HasDiscriminator(walk, objects));
}

}  // namespace cllm
