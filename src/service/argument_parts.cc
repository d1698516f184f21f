#include "service/argument_parts.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/replace_all.h"
#include "grammar/text_rules.h"

namespace cllm {
namespace {

constexpr char kRootDefinition[] = "all arguments";
constexpr int kMostReferences = 32;

// Formats that no pattern of the enforced schema tells. Less than they allow, and nothing else.
std::string_view TextPatternOf(std::string_view format) {
  constexpr std::pair<std::string_view, std::string_view> kPatterns[] = {
      {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
      {"ipv6", "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}"},
      {"hostname", "[A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20})?([.][A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20})?){0,4}"},
      {"email", "[A-Za-z0-9]{1,20}([._+-][A-Za-z0-9]{1,20}){0,1}@[A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20})?([.][A-Za-z0-9]{1,20}){1,4}"},
      {"uri",
       "[a-z]{2,10}://[A-Za-z0-9]{1,20}([.-][A-Za-z0-9]{1,20}){0,6}(:[0-9]{1,4})?(/"
       "[A-Za-z0-9_.~-]{0,40}){0,10}([?][A-Za-z0-9_.~=&-]{0,200})?"},
  };
  for (const auto& [name, pattern] : kPatterns) {
    if (name == format) return pattern;
  }
  return {};
}

// A schema without effect on the values of its type.
bool IsFree(const Json& schema) { return schema.size() == 1 && schema.contains("type") && schema["type"] != "integer"; }

// With what JSON of a schema's type may begin.
std::string_view FirstOfJson(const Json& schema) {
  const Json type = schema.value("type", Json());
  if (type == "object") return "{";
  if (type == "array") return "[";
  if (type == "boolean") return "tf";
  return type == "null" ? "n" : "-0123456789";
}

struct ArgumentProblem {
  std::string keyword;
  std::string message;
};

class ArgumentPlacer {
 public:
  explicit ArgumentPlacer(GrammarSource& source) : source_(source) {}

  void Place(const FramedArgument& argument, const Json& root);
  void Finish();
  std::optional<ArgumentProblem> TakeProblem() { return std::exchange(problem_, {}); }

 private:
  struct Texts {
    std::vector<std::string> alternatives = {};
    bool is_any = false;
    bool is_formed = false;      // by a pattern, or in its length
    std::string not_first = {};  // what begins JSON that would have to be looked at
  };

  std::string PartFor(GrammarPart::Kind kind, std::string text);
  std::string JsonFor(const Json& schema, const Json& root);
  std::string TextFor(const FramedArgument& argument, const Json& schema, const Json& root);
  void Collect(const FramedArgument& argument, const Json& schema, const Json& root, int references, Texts& texts);
  void CollectValue(const FramedArgument& argument, const Json& value, Texts& texts);
  void CollectString(const FramedArgument& argument, const Json& schema, Texts& texts);
  std::string AnyText(const std::vector<std::string>& excluded, const std::string& not_first);

  GrammarSource& source_;
  std::map<std::string, std::string> expressions_;  // by their places
  std::map<std::string, std::string> part_places_;  // by kind and text
  std::map<std::string, std::string> text_rules_;   // names by what is excluded
  std::string rules_;
  std::optional<ArgumentProblem> problem_;
};

std::string ArgumentPlacer::PartFor(GrammarPart::Kind kind, std::string text) {
  const auto [known, is_new] = part_places_.emplace(fmt::format("{}:{}", static_cast<int>(kind), text), std::string());
  if (is_new) {
    known->second = fmt::format(R"("\"@@argument{}@@\"")", part_places_.size());
    source_.parts.push_back({.kind = kind, .text = std::move(text), .place = known->second});
  }
  return known->second;
}

// By itself: with the definitions that it refers to.
std::string ArgumentPlacer::JsonFor(const Json& schema, const Json& root) {
  if (schema.is_boolean()) return PartFor(GrammarPart::Kind::kJsonSchema, "{}");
  std::string text = Dump(schema);
  if (text.contains(R"("$ref":)")) {
    Json whole = schema;
    Json definitions = root.value("$defs", Json::object());
    Json all = root;
    all.erase("$defs");
    definitions[kRootDefinition] = std::move(all);
    whole["$defs"] = std::move(definitions);
    text = ReplaceAll(Dump(whole), R"("$ref":"#")", fmt::format(R"("$ref":"#/$defs/{}")", kRootDefinition));
  }
  return PartFor(GrammarPart::Kind::kJsonSchema, std::move(text));
}

std::string ArgumentPlacer::AnyText(const std::vector<std::string>& excluded, const std::string& not_first) {
  std::string key = not_first;
  for (const std::string& text : excluded) key += fmt::format(" {}:{}", text.size(), text);
  const auto [known, is_new] = text_rules_.emplace(std::move(key), std::string());
  if (is_new) {
    known->second = fmt::format("text-{}", text_rules_.size());
    rules_ += RulesWithout(excluded, not_first, known->second);
  }
  return known->second;
}

void ArgumentPlacer::CollectValue(const FramedArgument& argument, const Json& value, Texts& texts) {
  const bool reads_json = argument.form == FramedArgument::Form::kJsonOrText;
  if (!value.is_string()) {
    if (reads_json) texts.alternatives.push_back(LiteralRule(Dump(value)));
    return;
  }
  const auto& text = value.get_ref<const std::string&>();
  const auto stands_in = [&text](const std::string& excluded) { return text.contains(excluded); };
  if (std::ranges::any_of(argument.excluded, stands_in) || (reads_json && Json::accept(text))) return;
  texts.alternatives.push_back(LiteralRule(text));
}

void ArgumentPlacer::CollectString(const FramedArgument& argument, const Json& schema, Texts& texts) {
  constexpr std::string_view kInMarks = "<";
  const auto holds = [&](const std::string& excluded) { return excluded.contains(kInMarks); };
  const auto refuse = [this](std::string keyword, std::string message) { problem_ = {std::move(keyword), std::move(message)}; };
  std::string pattern = schema.value("pattern", "");
  if (schema.contains("format")) pattern = TextPatternOf(schema["format"].get_ref<const std::string&>());
  texts.is_formed = texts.is_formed || schema.size() > 1;
  if (schema.size() > 1 && !std::ranges::all_of(argument.excluded, holds)) return refuse("type", "is not enforced before this mark");
  if (!pattern.empty() || schema.contains("format")) {
    if (pattern.empty()) return refuse("format", "is not enforced where arguments are written as text");
    if (PatternMayWrite(pattern, kInMarks.front())) {
      return refuse("pattern", "is not enforced where arguments are written as text and it may match '<'");
    }
    texts.alternatives.push_back(PartFor(GrammarPart::Kind::kRegex, std::move(pattern)));
  } else if (schema.contains("minLength") || schema.contains("maxLength")) {
    const auto most = schema.contains("maxLength") ? std::optional(schema["maxLength"].get<std::int64_t>()) : std::nullopt;
    texts.alternatives.push_back(CharactersWithout(kInMarks, schema.value("minLength", std::int64_t{0}), most));
  } else {
    texts.is_any = true;
  }
}

void ArgumentPlacer::Collect(const FramedArgument& argument, const Json& schema, const Json& root, int references, Texts& texts) {
  if (schema.is_boolean() || schema.empty()) {
    texts.is_any = true;
  } else if (schema.contains("$ref")) {
    const auto& path = schema["$ref"].get_ref<const std::string&>();
    const Json::json_pointer pointer(path.substr(1));
    if (references < kMostReferences && root.contains(pointer)) Collect(argument, root[pointer], root, references + 1, texts);
  } else if (schema.contains("const")) {
    CollectValue(argument, schema["const"], texts);
  } else if (schema.contains("enum")) {
    for (const Json& value : schema["enum"]) CollectValue(argument, value, texts);
  } else if (schema.contains("anyOf")) {
    for (const Json& branch : schema["anyOf"]) Collect(argument, branch, root, references + 1, texts);
  } else if (schema.value("type", Json()) == "string") {
    CollectString(argument, schema, texts);
  } else if (argument.form == FramedArgument::Form::kJsonOrText) {
    texts.alternatives.push_back(JsonFor(schema, root));
    if (!IsFree(schema)) texts.not_first += FirstOfJson(schema);
  }
}

std::string ArgumentPlacer::TextFor(const FramedArgument& argument, const Json& schema, const Json& root) {
  Texts texts;
  Collect(argument, schema, root, 0, texts);
  if (!problem_ && texts.is_formed && !texts.not_first.empty()) {
    problem_ = {"type", "is not enforced where arguments are written as text and JSON is read first"};
  }
  if (!problem_ && !texts.is_any && texts.alternatives.empty()) problem_ = {"schema", "has no value that can be written as text"};
  if (problem_) return AnyText(argument.excluded, {});
  if (texts.is_any) texts.alternatives.push_back(AnyText(argument.excluded, texts.not_first));
  return fmt::format("({})", fmt::join(texts.alternatives, " | "));
}

void ArgumentPlacer::Place(const FramedArgument& argument, const Json& root) {
  const auto found = root.contains("properties") ? root["properties"].find(argument.name) : root.end();
  const Json any = true;
  const Json& schema = root.contains("properties") && found != root["properties"].end() ? *found : any;
  expressions_[argument.place] = argument.form == FramedArgument::Form::kJson ? JsonFor(schema, root) : TextFor(argument, schema, root);
}

// In one go, however many there are.
void ArgumentPlacer::Finish() {
  constexpr std::string_view kBegin = R"("\"@@)", kEnd = R"(@@\"")";
  std::string placed;
  std::string_view rest = source_.frame;
  for (auto at = rest.find(kBegin); at != std::string_view::npos; at = rest.find(kBegin)) {
    const auto end = rest.find(kEnd, at + kBegin.size());
    const std::size_t size = end == std::string_view::npos ? rest.size() - at : end + kEnd.size() - at;
    const std::string place(rest.substr(at, size));
    placed += rest.substr(0, at);
    const auto known = expressions_.find(place);
    placed += known != expressions_.end() ? known->second : place;
    rest.remove_prefix(at + size);
  }
  source_.frame = placed + std::string(rest) + "\n" + rules_;
}

}  // namespace

bool PatternMayWrite(std::string_view pattern, char character) {
  bool in_class = false;
  bool is_negated = false;
  bool is_named = false;  // by the class
  char before = '\0';     // of a range
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (c == '\\') {
      ++i;
      const bool is_letter = std::isalnum(static_cast<unsigned char>(next)) != 0;
      if (is_letter && !std::string_view("dwsbBnrtfv").contains(next)) return true;
      if (next == character && !is_negated) return true;
      is_named = is_named || next == character;
      before = '\0';
    } else if (!in_class) {
      if (c == '.' || c == character) return true;
      in_class = c == '[';
      is_negated = in_class && next == '^';
      if (is_negated) ++i;
      is_named = false;
      before = '\0';
    } else if (c == ']') {
      if (is_negated && !is_named) return true;
      in_class = is_negated = false;
    } else {
      const bool is_range = c == '-' && before != '\0' && next != ']' && next != '\0';
      const bool names = is_range ? before <= character && character <= next : c == character;
      if (is_range && next == '\\') return true;
      if (names && !is_negated) return true;
      is_named = is_named || names;
      if (is_range) ++i;
      before = is_range ? '\0' : c;
    }
  }
  return in_class;
}

Result<std::vector<std::string>> PlaceArguments(const std::vector<FramedArgument>& arguments, const std::vector<ChatTool>& tools,
                                                GrammarSource& source) {
  std::vector<std::string> relaxed;
  if (arguments.empty()) return relaxed;
  ArgumentPlacer placer(source);
  std::size_t read = tools.size();
  Json root;
  for (const FramedArgument& argument : arguments) {
    const ChatTool& tool = tools[argument.tool];
    if (std::exchange(read, argument.tool) != argument.tool) root = ParseJsonObject(tool.enforced).value_or(Json::object());
    placer.Place(argument, root);
    const auto problem = placer.TakeProblem();
    if (!problem) continue;
    const std::string place = tool.place + (Json::json_pointer("/properties") / argument.name).to_string();
    if (tool.is_strict) return InvalidArgument(fmt::format("{}: '{}' {}", place, problem->keyword, problem->message), tool.place);
    relaxed.push_back(place);
  }
  placer.Finish();
  return relaxed;
}

}  // namespace cllm
