// A schema as the validator has it: nodes that name each other by their index, so that references are edges like any other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <re2/re2.h>

#include "base/json.h"
#include "schema/formats.h"
#include "schema/keyword_table.h"

namespace cllm {

using NodeIndex = std::int32_t;
inline constexpr NodeIndex kNoNode = -1;

// A count that a keyword bounds: of characters, items, members.
struct CountBounds {
  std::size_t least = 0;
  std::size_t most = std::numeric_limits<std::size_t>::max();

  bool operator==(const CountBounds&) const = default;
};

struct PropertyRule {
  NodeIndex schema = kNoNode;
  bool is_required = false;
};

struct PatternRule {
  std::shared_ptr<const re2::RE2> pattern;
  NodeIndex schema = kNoNode;
};

// What a member's presence asks for.
struct DependentRule {
  std::vector<std::string> required;
  NodeIndex schema = kNoNode;
};

struct SchemaNode {
  bool is_false = false;
  bool is_target = false;  // of a reference: what it says about a value is worth remembering
  TypeSet types = kAnyType;
  std::optional<std::vector<std::string>> values;  // canonical texts, sorted
  std::optional<std::string> constant;

  std::optional<Json> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;

  CountBounds length, items, members, contained{.least = 1};
  std::shared_ptr<const re2::RE2> pattern;
  std::optional<StringFormat> format;

  std::vector<NodeIndex> prefix_items;
  NodeIndex rest_items = kNoNode;
  NodeIndex contains = kNoNode;
  bool are_items_unique = false;

  std::unordered_map<std::string, PropertyRule> properties;
  std::size_t required_count = 0;
  std::vector<PatternRule> pattern_properties;
  NodeIndex additional_properties = kNoNode;
  NodeIndex property_names = kNoNode;
  std::vector<std::pair<std::string, DependentRule>> dependents;

  NodeIndex reference = kNoNode;
  std::vector<NodeIndex> all_of, any_of, one_of;
  NodeIndex negated = kNoNode;
  NodeIndex condition = kNoNode, consequence = kNoNode, alternative = kNoNode;
};

struct SchemaNodes {
  std::vector<SchemaNode> nodes;  // the first is the root
};

// Refuses what SchemaValidator::Compile refuses.
Result<SchemaNodes> CompileSchemaNodes(const Json& schema);

}  // namespace cllm
