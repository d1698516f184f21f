#include "schema/schema_nodes.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/utf8.h"
#include "schema/ecma_pattern.h"
#include "schema/json_value.h"
#include "schema/reference.h"

namespace cllm {
namespace {

constexpr std::size_t kMostNodes = 20'000;
constexpr std::size_t kMostPatterns = 1'000;
constexpr std::size_t kMostPatternProgram = 200'000;  // instructions of all patterns
constexpr std::size_t kMostValueBytes = 4 << 20;      // of all enum and const

// Compiles node by node from a list of what is left, so that depth costs nothing.
class NodeCompiler {
 public:
  explicit NodeCompiler(const Json& root) : root_(root) {}
  Result<SchemaNodes> Run();

 private:
  struct Waiting {
    const Json* schema;
    std::string pointer;
    bool is_embedded;  // below an $id of its own
  };
  using Reader = void (NodeCompiler::*)(SchemaNode&, const Json&);
  struct KeywordReader {
    std::string_view keyword;
    Reader read;
  };
  static const KeywordReader kReaders[];

  void Compile(NodeIndex index);
  void CompileKeyword(SchemaNode& node, const std::string& name, const Json& value);
  void Finish(SchemaNode& node);

  NodeIndex NodeOf(const Json& schema, std::string pointer, bool is_embedded);
  NodeIndex Below(const Json& schema, std::string_view token = {});
  std::vector<NodeIndex> ListBelow(const Json& schemas);
  std::string PointerOfKeyword() const { return PointerBelow(at_->pointer, keyword_); }
  void Refuse(std::string_view message) {
    if (!error_) error_ = Error{ErrorCode::kInvalidArgument, fmt::format("{}: {}", Shortened(PointerOfKeyword(), 200), message), {}, 0};
  }

  void ReadType(SchemaNode& node, const Json& value);
  void ReadEnum(SchemaNode& node, const Json& value);
  void ReadConst(SchemaNode& node, const Json& value);
  void ReadNumber(std::optional<Json>& bound, const Json& value);
  void ReadCount(std::size_t& count, const Json& value);
  void ReadPattern(SchemaNode& node, const Json& value);
  void ReadFormat(SchemaNode& node, const Json& value);
  void ReadUniqueItems(SchemaNode& node, const Json& value);
  void ReadProperties(SchemaNode& node, const Json& value);
  void ReadPatternProperties(SchemaNode& node, const Json& value);
  void ReadRequired(SchemaNode& node, const Json& value);
  void ReadDependentRequired(SchemaNode& node, const Json& value);
  void ReadDependentSchemas(SchemaNode& node, const Json& value);
  void ReadReference(SchemaNode& node, const Json& value);
  template <auto Member>
  void ReadSchema(SchemaNode& node, const Json& value) {
    node.*Member = Below(value);
  }
  template <auto Member>
  void ReadList(SchemaNode& node, const Json& value) {
    node.*Member = ListBelow(value);
  }
  template <auto Member>
  void ReadBound(SchemaNode& node, const Json& value) {
    ReadNumber(node.*Member, value);
  }
  template <auto Member>
  void ReadLeast(SchemaNode& node, const Json& value) {
    ReadCount((node.*Member).least, value);
  }
  template <auto Member>
  void ReadMost(SchemaNode& node, const Json& value) {
    ReadCount((node.*Member).most, value);
  }

  std::string CanonicalValue(const Json& value);
  std::vector<std::string> Names(const Json& value);
  std::shared_ptr<const re2::RE2> CompilePattern(const std::string& pattern);
  DependentRule& DependentOf(SchemaNode& node, const std::string& name);

  const Json& root_;
  SchemaNodes compiled_;
  std::vector<Waiting> waiting_;  // one for each node, in the nodes' order
  std::unordered_map<const Json*, NodeIndex> index_of_;
  std::unordered_map<std::string, std::shared_ptr<const re2::RE2>> patterns_;
  std::size_t program_ = 0;
  std::size_t value_bytes_ = 0;
  const Waiting* at_ = nullptr;
  std::string keyword_;
  std::optional<Error> error_;
};

const NodeCompiler::KeywordReader NodeCompiler::kReaders[] = {
    {"type", &NodeCompiler::ReadType},
    {"enum", &NodeCompiler::ReadEnum},
    {"const", &NodeCompiler::ReadConst},
    {"minimum", &NodeCompiler::ReadBound<&SchemaNode::minimum>},
    {"maximum", &NodeCompiler::ReadBound<&SchemaNode::maximum>},
    {"exclusiveMinimum", &NodeCompiler::ReadBound<&SchemaNode::exclusive_minimum>},
    {"exclusiveMaximum", &NodeCompiler::ReadBound<&SchemaNode::exclusive_maximum>},
    {"multipleOf", &NodeCompiler::ReadBound<&SchemaNode::multiple_of>},
    {"minLength", &NodeCompiler::ReadLeast<&SchemaNode::length>},
    {"maxLength", &NodeCompiler::ReadMost<&SchemaNode::length>},
    {"minItems", &NodeCompiler::ReadLeast<&SchemaNode::items>},
    {"maxItems", &NodeCompiler::ReadMost<&SchemaNode::items>},
    {"minProperties", &NodeCompiler::ReadLeast<&SchemaNode::members>},
    {"maxProperties", &NodeCompiler::ReadMost<&SchemaNode::members>},
    {"minContains", &NodeCompiler::ReadLeast<&SchemaNode::contained>},
    {"maxContains", &NodeCompiler::ReadMost<&SchemaNode::contained>},
    {"pattern", &NodeCompiler::ReadPattern},
    {"format", &NodeCompiler::ReadFormat},
    {"uniqueItems", &NodeCompiler::ReadUniqueItems},
    {"prefixItems", &NodeCompiler::ReadList<&SchemaNode::prefix_items>},
    {"items", &NodeCompiler::ReadSchema<&SchemaNode::rest_items>},
    {"contains", &NodeCompiler::ReadSchema<&SchemaNode::contains>},
    {"properties", &NodeCompiler::ReadProperties},
    {"patternProperties", &NodeCompiler::ReadPatternProperties},
    {"additionalProperties", &NodeCompiler::ReadSchema<&SchemaNode::additional_properties>},
    {"propertyNames", &NodeCompiler::ReadSchema<&SchemaNode::property_names>},
    {"required", &NodeCompiler::ReadRequired},
    {"dependentRequired", &NodeCompiler::ReadDependentRequired},
    {"dependentSchemas", &NodeCompiler::ReadDependentSchemas},
    {"$ref", &NodeCompiler::ReadReference},
    {"allOf", &NodeCompiler::ReadList<&SchemaNode::all_of>},
    {"anyOf", &NodeCompiler::ReadList<&SchemaNode::any_of>},
    {"oneOf", &NodeCompiler::ReadList<&SchemaNode::one_of>},
    {"not", &NodeCompiler::ReadSchema<&SchemaNode::negated>},
    {"if", &NodeCompiler::ReadSchema<&SchemaNode::condition>},
    {"then", &NodeCompiler::ReadSchema<&SchemaNode::consequence>},
    {"else", &NodeCompiler::ReadSchema<&SchemaNode::alternative>},
};

Result<SchemaNodes> NodeCompiler::Run() {
  NodeOf(root_, "", false);
  for (std::size_t i = 0; i < compiled_.nodes.size() && !error_; ++i) Compile(static_cast<NodeIndex>(i));
  if (error_) return std::unexpected(*error_);
  return std::move(compiled_);
}

NodeIndex NodeCompiler::NodeOf(const Json& schema, std::string pointer, bool is_embedded) {
  const auto [known, is_new] = index_of_.try_emplace(&schema, static_cast<NodeIndex>(compiled_.nodes.size()));
  if (!is_new) return known->second;
  if (compiled_.nodes.size() == kMostNodes) {
    if (!error_) error_ = Error{ErrorCode::kInvalidArgument, fmt::format("the schema has more than {} schemas in it", kMostNodes), {}, 0};
    return kNoNode;
  }
  compiled_.nodes.emplace_back();
  waiting_.push_back({&schema, std::move(pointer), is_embedded});
  return known->second;
}

NodeIndex NodeCompiler::Below(const Json& schema, std::string_view token) {
  std::string pointer = PointerOfKeyword();
  if (token.data() != nullptr) pointer = PointerBelow(pointer, token);
  return NodeOf(schema, std::move(pointer), at_->is_embedded);
}

std::vector<NodeIndex> NodeCompiler::ListBelow(const Json& schemas) {
  std::vector<NodeIndex> list;
  if (!schemas.is_array() || schemas.empty()) Refuse("must be an array of schemas that isn't empty");
  for (std::size_t i = 0; schemas.is_array() && i < schemas.size() && !error_; ++i) list.push_back(Below(schemas[i], std::to_string(i)));
  return list;
}

void NodeCompiler::Compile(NodeIndex index) {
  Waiting at = waiting_[static_cast<std::size_t>(index)];  // a copy: the list grows
  at_ = &at;
  keyword_.clear();
  SchemaNode node;
  node.is_target = compiled_.nodes[static_cast<std::size_t>(index)].is_target;
  if (at.schema->is_boolean()) {
    node.is_false = !at.schema->get<bool>();
  } else if (!at.schema->is_object()) {
    Refuse("a schema must be an object or a boolean");
  } else {
    at.is_embedded = at.is_embedded || (index > 0 && at.schema->contains("$id"));
    for (const auto& [name, value] : at.schema->get_ref<const Json::object_t&>()) CompileKeyword(node, name, value);
    Finish(node);
  }
  node.is_target |= compiled_.nodes[static_cast<std::size_t>(index)].is_target;  // it may refer to itself
  compiled_.nodes[static_cast<std::size_t>(index)] = std::move(node);
}

void NodeCompiler::CompileKeyword(SchemaNode& node, const std::string& name, const Json& value) {
  const SchemaKeyword* const keyword = FindSchemaKeyword(name);
  if (error_ || keyword == nullptr || keyword->validated == Validated::kHasNoEffect) return;
  keyword_ = name;
  if (keyword->validated == Validated::kRefused) return Refuse("this keyword is not supported");
  const auto* const reader = std::ranges::find(kReaders, name, &KeywordReader::keyword);
  if (reader == std::end(kReaders)) return Refuse("this keyword is not supported");
  (this->*reader->read)(node, value);
}

// What keywords say together.
void NodeCompiler::Finish(SchemaNode& node) {
  for (const auto& [name, rule] : node.properties) node.required_count += rule.is_required ? 1 : 0;
  if (node.condition == kNoNode) node.consequence = node.alternative = kNoNode;
}

void NodeCompiler::ReadType(SchemaNode& node, const Json& value) {
  node.types = 0;
  for (const Json& name : value.is_array() ? value : Json::array({value})) {
    const TypeSet types = name.is_string() ? TypeSetOf(name.get_ref<const std::string&>()) : TypeSet{0};
    if (types == 0) return Refuse("must name types");
    node.types |= types;
  }
  if (node.types == 0) Refuse("must name types");
}

std::string NodeCompiler::CanonicalValue(const Json& value) {
  std::string text = CanonicalText(value);
  if (text.empty()) Refuse("is nested too deeply");
  value_bytes_ += text.size();
  if (value_bytes_ > kMostValueBytes) Refuse("the schema's values take too much memory");
  return text;
}

void NodeCompiler::ReadEnum(SchemaNode& node, const Json& value) {
  if (!value.is_array()) return Refuse("must be an array");
  node.values.emplace();
  for (const Json& one : value) {
    if (!error_) node.values->push_back(CanonicalValue(one));
  }
  std::ranges::sort(*node.values);
}

void NodeCompiler::ReadConst(SchemaNode& node, const Json& value) { node.constant = CanonicalValue(value); }

void NodeCompiler::ReadNumber(std::optional<Json>& bound, const Json& value) {
  if (!value.is_number()) return Refuse("must be a number");
  if (keyword_ == "multipleOf" && CompareNumbers(value, 0) <= 0) return Refuse("must be above 0");
  bound = value;
}

void NodeCompiler::ReadCount(std::size_t& count, const Json& value) {
  if (!value.is_number() || TypeOfValue(value) != kIntegerType || CompareNumbers(value, 0) < 0) return Refuse("must be an integer from 0");
  const auto integer = AsInteger(value);
  count = integer ? static_cast<std::size_t>(*integer) : std::numeric_limits<std::size_t>::max();
}

std::shared_ptr<const re2::RE2> NodeCompiler::CompilePattern(const std::string& pattern) {
  const auto [known, is_new] = patterns_.try_emplace(pattern);
  if (!is_new) return known->second;
  if (patterns_.size() > kMostPatterns) return Refuse("the schema has too many patterns"), nullptr;
  const Result<std::string> translated = PatternForRe2(pattern);
  if (!translated) return Refuse(translated.error().message), nullptr;
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(1 << 20);
  options.set_never_capture(true);
  const auto compiled = std::make_shared<const re2::RE2>(*translated, options);
  if (!compiled->ok()) return Refuse(fmt::format("the pattern can't be read: {}", Shortened(compiled->error()))), nullptr;
  program_ += static_cast<std::size_t>(std::max(compiled->ProgramSize(), 0));
  if (program_ > kMostPatternProgram) return Refuse("the schema's patterns are too large together"), nullptr;
  return known->second = compiled;
}

void NodeCompiler::ReadPattern(SchemaNode& node, const Json& value) {
  if (!value.is_string()) return Refuse("must be a string");
  node.pattern = CompilePattern(value.get_ref<const std::string&>());
}

void NodeCompiler::ReadFormat(SchemaNode& node, const Json& value) {
  if (!value.is_string()) return Refuse("must be a string");
  node.format = StringFormatOf(value.get_ref<const std::string&>());
}

void NodeCompiler::ReadUniqueItems(SchemaNode& node, const Json& value) {
  if (!value.is_boolean()) return Refuse("must be true or false");
  node.are_items_unique = value.get<bool>();
}

void NodeCompiler::ReadProperties(SchemaNode& node, const Json& value) {
  if (!value.is_object()) return Refuse("must be an object");
  for (const auto& [name, schema] : value.get_ref<const Json::object_t&>()) node.properties[name].schema = Below(schema, name);
}

void NodeCompiler::ReadPatternProperties(SchemaNode& node, const Json& value) {
  if (!value.is_object()) return Refuse("must be an object");
  for (const auto& [pattern, schema] : value.get_ref<const Json::object_t&>()) {
    if (!error_) node.pattern_properties.push_back({CompilePattern(pattern), Below(schema, pattern)});
  }
}

std::vector<std::string> NodeCompiler::Names(const Json& value) {
  std::vector<std::string> names;
  if (!value.is_array()) return Refuse("must be an array of names"), names;
  for (const Json& name : value) {
    if (!name.is_string()) return Refuse("must be an array of names"), names;
    names.push_back(name.get<std::string>());
  }
  return names;
}

void NodeCompiler::ReadRequired(SchemaNode& node, const Json& value) {
  for (const std::string& name : Names(value)) node.properties[name].is_required = true;
}

DependentRule& NodeCompiler::DependentOf(SchemaNode& node, const std::string& name) {
  return node.dependents.emplace_back(name, DependentRule{}).second;
}

void NodeCompiler::ReadDependentRequired(SchemaNode& node, const Json& value) {
  if (!value.is_object()) return Refuse("must be an object");
  for (const auto& [name, names] : value.get_ref<const Json::object_t&>()) DependentOf(node, name).required = Names(names);
}

void NodeCompiler::ReadDependentSchemas(SchemaNode& node, const Json& value) {
  if (!value.is_object()) return Refuse("must be an object");
  for (const auto& [name, schema] : value.get_ref<const Json::object_t&>()) DependentOf(node, name).schema = Below(schema, name);
}

void NodeCompiler::ReadReference(SchemaNode& node, const Json& value) {
  if (!value.is_string()) return Refuse("must be a string");
  if (at_->is_embedded) return Refuse("a reference below an $id that isn't the root's is not supported");
  const Result<SchemaTarget> target = ResolveReference(root_, value.get_ref<const std::string&>());
  if (!target) return Refuse(target.error().message);
  node.reference = NodeOf(*target->schema, target->pointer, false);
  if (node.reference != kNoNode) compiled_.nodes[static_cast<std::size_t>(node.reference)].is_target = true;
}

}  // namespace

Result<SchemaNodes> CompileSchemaNodes(const Json& schema) { return NodeCompiler(schema).Run(); }

}  // namespace cllm
