#include "schema/schema_validator.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/utf8.h"
#include "schema/json_value.h"
#include "schema/schema_nodes.h"

namespace cllm {
namespace {

// One value against one schema.
class Evaluation {
 public:
  Evaluation(const SchemaNodes& schema, const StopCheck& stop) : schema_(schema), stop_(stop) {}
  Status Run(const Json& instance);

 private:
  // Where a value stands: what it is called in its parent, which is where? On the stack of those who look at it.
  struct Place {
    const Place* parent = nullptr;
    std::string_view name;
    std::size_t index = 0;
    bool is_item = false;
  };
  static constexpr std::uint64_t kMostSteps = 10'000'000;
  static constexpr std::uint64_t kBetweenLooks = 8192;
  static constexpr int kMostDepth = 500;
  static constexpr std::size_t kMostRemembered = 200'000;

  const SchemaNode& NodeAt(NodeIndex index) const { return schema_.nodes[static_cast<std::size_t>(index)]; }
  bool Fits(NodeIndex index, const Json& value, const Place& place);
  bool FitsNode(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsValues(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsNumber(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsString(const SchemaNode& node, const std::string& text, const Place& place);
  bool FitsArray(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsContains(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsUnique(const Json& value, const Place& place);
  bool FitsObject(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsMember(const SchemaNode& node, const std::string& name, const Json& value, const Place& place);
  bool FitsDependents(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsBranches(const SchemaNode& node, const Json& value, const Place& place);
  bool FitsCondition(const SchemaNode& node, const Json& value, const Place& place);
  // Without saying what fails: that is for the keyword that asks.
  bool FitsQuietly(NodeIndex index, const Json& value, const Place& place);
  bool Matches(const re2::RE2& pattern, const std::string& text);

  bool Step(std::uint64_t steps = 1);
  bool FailAt(const Place& place, std::string_view keyword, std::string_view detail = {});

  const SchemaNodes& schema_;
  const StopCheck& stop_;
  std::uint64_t steps_ = 0;
  std::uint64_t looked_at_ = 0;
  int depth_ = 0;
  int quiet_ = 0;
  // Of a reference's target and a value, whether it fits: without it, branches that refer to one schema take exponential time.
  struct Pair {
    NodeIndex node;
    const Json* value;
    bool operator==(const Pair&) const = default;
  };
  struct PairHash {
    std::size_t operator()(const Pair& pair) const {
      return std::hash<const void*>()(pair.value) * 1'000'003 + static_cast<std::size_t>(pair.node);
    }
  };
  std::unordered_map<Pair, bool, PairHash> remembered_;
  std::optional<Error> failure_;  // what the value gets wrong
  std::optional<Error> end_;      // why nothing can be said
};

Status Evaluation::Run(const Json& instance) {
  const bool fits = Fits(0, instance, Place{});
  if (end_) return std::unexpected(*end_);
  if (fits) return {};
  return std::unexpected(failure_.value_or(Error{ErrorCode::kInvalidArgument, "the value does not fit the schema", {}, 0}));
}

bool Evaluation::Step(std::uint64_t steps) {
  if (end_) return false;
  steps_ += steps;
  if (steps_ > kMostSteps) {
    end_ = Error{ErrorCode::kInvalidArgument, "validating the value against the schema takes too many steps", {}, 0};
  } else if (stop_ && steps_ >= looked_at_ + kBetweenLooks) {
    looked_at_ = steps_;
    if (const Status status = stop_(); !status) end_ = status.error();
  }
  return !end_;
}

bool Evaluation::FailAt(const Place& place, std::string_view keyword, std::string_view detail) {
  if (quiet_ > 0 || failure_ || end_) return false;
  std::vector<const Place*> path;
  for (const Place* at = &place; at->parent != nullptr; at = at->parent) path.push_back(at);
  std::string pointer;
  for (auto at = path.rbegin(); at != path.rend(); ++at) {
    pointer = PointerBelow(pointer, (*at)->is_item ? std::to_string((*at)->index) : std::string((*at)->name));
  }
  failure_ = Error{ErrorCode::kInvalidArgument,
                   fmt::format("{} does not fit '{}'{}{}", pointer.empty() ? "the whole value" : Shortened(pointer, 200), keyword,
                               detail.empty() ? "" : ": ", Shortened(detail)),
                   {},
                   0};
  return false;
}

bool Evaluation::Fits(NodeIndex index, const Json& value, const Place& place) {
  if (!Step()) return false;
  if (depth_ == kMostDepth) {
    end_ = Error{
        ErrorCode::kInvalidArgument, fmt::format("validating the value evaluates more than {} schemas in each other", kMostDepth), {}, 0};
    return false;
  }
  const SchemaNode& node = NodeAt(index);
  const bool is_remembered = node.is_target && value.is_structured();
  if (is_remembered) {
    const auto known = remembered_.find({index, &value});
    if (known != remembered_.end()) return known->second || FailAt(place, "$ref");
  }
  ++depth_;
  const bool fits = FitsNode(node, value, place);
  --depth_;
  if (is_remembered && !end_ && remembered_.size() < kMostRemembered) remembered_.try_emplace({index, &value}, fits);
  return fits;
}

bool Evaluation::FitsQuietly(NodeIndex index, const Json& value, const Place& place) {
  ++quiet_;
  const bool fits = Fits(index, value, place);
  --quiet_;
  return fits;
}

bool Evaluation::FitsNode(const SchemaNode& node, const Json& value, const Place& place) {
  if (node.is_false) return FailAt(place, "false");
  const TypeSet type = TypeOfValue(value);
  if ((node.types & type) == 0) return FailAt(place, "type");
  if (!FitsValues(node, value, place)) return false;
  if ((type & kNumberType) != 0 && !FitsNumber(node, value, place)) return false;
  if (type == kStringType && !FitsString(node, value.get_ref<const std::string&>(), place)) return false;
  if (type == kArrayType && !FitsArray(node, value, place)) return false;
  if (type == kObjectType && !FitsObject(node, value, place)) return false;
  if (node.reference != kNoNode && !Fits(node.reference, value, place)) return false;
  return FitsBranches(node, value, place) && FitsCondition(node, value, place);
}

bool Evaluation::FitsValues(const SchemaNode& node, const Json& value, const Place& place) {
  if (!node.values && !node.constant) return true;
  const std::string text = CanonicalText(value);
  if (!Step(text.size() / 16)) return false;
  if (node.constant && text != *node.constant) return FailAt(place, "const");
  return !node.values || std::ranges::binary_search(*node.values, text) || FailAt(place, "enum");
}

bool Evaluation::FitsNumber(const SchemaNode& node, const Json& value, const Place& place) {
  if (node.minimum && CompareNumbers(value, *node.minimum) < 0) return FailAt(place, "minimum");
  if (node.maximum && CompareNumbers(value, *node.maximum) > 0) return FailAt(place, "maximum");
  if (node.exclusive_minimum && CompareNumbers(value, *node.exclusive_minimum) <= 0) return FailAt(place, "exclusiveMinimum");
  if (node.exclusive_maximum && CompareNumbers(value, *node.exclusive_maximum) >= 0) return FailAt(place, "exclusiveMaximum");
  return !node.multiple_of || IsMultipleOf(value, *node.multiple_of) || FailAt(place, "multipleOf");
}

// RE2 looks at each character once, but at all of the program for it where its automaton doesn't fit into its memory.
bool Evaluation::Matches(const re2::RE2& pattern, const std::string& text) {
  const auto program = static_cast<std::uint64_t>(pattern.ProgramSize());
  return Step(1 + text.size() / 8 * (1 + program / 32)) && re2::RE2::PartialMatch(text, pattern);
}

bool Evaluation::FitsString(const SchemaNode& node, const std::string& text, const Place& place) {
  if (node.length != CountBounds{}) {
    const std::size_t characters = CountCharacters(text);
    if (!Step(text.size() / 256)) return false;
    if (characters < node.length.least) return FailAt(place, "minLength");
    if (characters > node.length.most) return FailAt(place, "maxLength");
  }
  if (node.pattern != nullptr && !Matches(*node.pattern, text)) return FailAt(place, "pattern");
  if (!node.format) return true;
  return Step(1 + text.size() / 64) && (HasFormat(text, *node.format) || FailAt(place, "format"));
}

bool Evaluation::FitsArray(const SchemaNode& node, const Json& value, const Place& place) {
  if (value.size() < node.items.least) return FailAt(place, "minItems");
  if (value.size() > node.items.most) return FailAt(place, "maxItems");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const NodeIndex schema = i < node.prefix_items.size() ? node.prefix_items[i] : node.rest_items;
    if (schema == kNoNode) break;
    if (!Fits(schema, value[i], Place{&place, {}, i, true})) return false;
  }
  if (node.are_items_unique && !FitsUnique(value, place)) return false;
  return node.contains == kNoNode || FitsContains(node, value, place);
}

bool Evaluation::FitsContains(const SchemaNode& node, const Json& value, const Place& place) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (FitsQuietly(node.contains, value[i], Place{&place, {}, i, true})) ++count;
    if (end_) return false;
  }
  if (count < node.contained.least) return FailAt(place, "contains");
  return count <= node.contained.most || FailAt(place, "maxContains");
}

// Items are told apart by their canonical texts, which takes time by what they hold.
bool Evaluation::FitsUnique(const Json& value, const Place& place) {
  std::unordered_set<std::string> seen;
  for (const Json& item : value) {
    std::string text = CanonicalText(item);
    if (!Step(1 + text.size() / 16)) return false;
    if (!seen.insert(std::move(text)).second) return FailAt(place, "uniqueItems");
  }
  return true;
}

bool Evaluation::FitsObject(const SchemaNode& node, const Json& value, const Place& place) {
  if (value.size() < node.members.least) return FailAt(place, "minProperties");
  if (value.size() > node.members.most) return FailAt(place, "maxProperties");
  std::size_t required = 0;
  if (!node.properties.empty() || !node.pattern_properties.empty() || node.additional_properties != kNoNode ||
      node.property_names != kNoNode) {
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      if (!FitsMember(node, name, member, Place{&place, name, 0, false})) return false;
      const auto rule = node.properties.find(name);
      if (rule != node.properties.end() && rule->second.is_required) ++required;
    }
  }
  if (required < node.required_count) {
    for (const auto& [name, rule] : node.properties) {
      if (rule.is_required && !value.contains(name)) return FailAt(place, "required", name);
    }
  }
  return node.dependents.empty() || FitsDependents(node, value, place);
}

bool Evaluation::FitsMember(const SchemaNode& node, const std::string& name, const Json& value, const Place& place) {
  if (!Step()) return false;
  if (node.property_names != kNoNode && !FitsQuietly(node.property_names, Json(name), place)) return FailAt(place, "propertyNames");
  const auto rule = node.properties.find(name);
  bool is_additional = true;
  if (rule != node.properties.end() && rule->second.schema != kNoNode) {
    is_additional = false;
    if (!Fits(rule->second.schema, value, place)) return false;
  }
  for (const PatternRule& pattern : node.pattern_properties) {
    if (!Matches(*pattern.pattern, name)) continue;
    is_additional = false;
    if (!Fits(pattern.schema, value, place)) return false;
  }
  if (end_) return false;
  if (!is_additional || node.additional_properties == kNoNode) return true;
  if (NodeAt(node.additional_properties).is_false) return FailAt(place, "additionalProperties");
  return Fits(node.additional_properties, value, place);
}

bool Evaluation::FitsDependents(const SchemaNode& node, const Json& value, const Place& place) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) names.insert(name);
  if (!Step(names.size())) return false;
  for (const auto& [name, rule] : node.dependents) {
    if (!Step() || !names.contains(name)) {
      if (end_) return false;
      continue;
    }
    for (const std::string& required : rule.required) {
      if (!Step() || !names.contains(required)) return FailAt(place, "dependentRequired", required);
    }
    if (rule.schema != kNoNode && !Fits(rule.schema, value, place)) return false;
  }
  return true;
}

bool Evaluation::FitsBranches(const SchemaNode& node, const Json& value, const Place& place) {
  for (const NodeIndex branch : node.all_of) {
    if (!Fits(branch, value, place)) return false;
  }
  const auto fits = [&](NodeIndex branch) { return FitsQuietly(branch, value, place); };
  if (!node.any_of.empty() && std::ranges::none_of(node.any_of, fits)) return FailAt(place, "anyOf");
  if (!node.one_of.empty()) {
    int count = 0;
    for (const NodeIndex branch : node.one_of) {
      count += fits(branch) ? 1 : 0;
      if (count > 1) return FailAt(place, "oneOf", "more than one branch fits");
    }
    if (count == 0) return FailAt(place, "oneOf", "no branch fits");
  }
  return node.negated == kNoNode || (!fits(node.negated) && !end_) || FailAt(place, "not");
}

bool Evaluation::FitsCondition(const SchemaNode& node, const Json& value, const Place& place) {
  if (node.condition == kNoNode) return true;
  const NodeIndex next = FitsQuietly(node.condition, value, place) ? node.consequence : node.alternative;
  return !end_ && (next == kNoNode || Fits(next, value, place));
}

}  // namespace

Result<SchemaValidator> SchemaValidator::Compile(const Json& schema) {
  Result<SchemaNodes> nodes = CompileSchemaNodes(schema);
  if (!nodes) return std::unexpected(nodes.error());
  return SchemaValidator(std::make_shared<const SchemaNodes>(std::move(*nodes)));
}

Status SchemaValidator::Validate(const Json& instance, const StopCheck& stop) const { return Evaluation(*nodes_, stop).Run(instance); }

}  // namespace cllm
