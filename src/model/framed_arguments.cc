#include "model/framed_arguments.h"

#include <json-schema-to-grammar.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/json_text.h"
#include "model/common_chat.h"
#include "model/peg_walk.h"

namespace cllm {
namespace {

using Tags = common_chat_peg_builder;
using ParserId = common_peg_parser_id;

// An argument as llama.cpp reads it: what stands around its value, as GBNF.
struct ArgumentShape {
  std::string name = {};
  std::string before = {};
  std::string after = {};
  FramedArgument::Form form = FramedArgument::Form::kJson;
  std::vector<std::string> excluded = {};
};

// Reads one argument in the order of its text.
class ArgumentShapeReader {
 public:
  explicit ArgumentShapeReader(const common_peg_arena& arena) : arena_(arena) {}

  // Nothing where it is more than a name, a value and marks around them.
  std::optional<ArgumentShape> Read(ParserId argument) {
    Walk(argument);
    const bool is_text = shape_.form != FramedArgument::Form::kJson;
    return is_known_ && has_value_ && !shape_.name.empty() && is_text == !shape_.excluded.empty() ? std::optional(shape_) : std::nullopt;
  }

 private:
  void Walk(ParserId id);
  void WalkTag(const common_peg_tag_parser& tag);
  void WalkChoice(const common_peg_choice_parser& choice);
  void WalkValue(FramedArgument::Form form, ParserId id);
  void Write(const std::string& gbnf) { (has_value_ ? shape_.after : shape_.before).append(gbnf).append(" "); }

  const common_peg_arena& arena_;
  ArgumentShape shape_;
  bool in_name_ = false;
  bool has_value_ = false;
  bool is_known_ = true;
};

void ArgumentShapeReader::Walk(ParserId id) {
  const auto& parser = arena_.get(id);
  if (const auto* literal = std::get_if<common_peg_literal_parser>(&parser)) {
    if (in_name_) shape_.name += literal->literal;
    if (!literal->literal.empty()) Write(gbnf_format_literal(literal->literal));
  } else if (const auto* tag = std::get_if<common_peg_tag_parser>(&parser)) {
    WalkTag(*tag);
  } else if (const auto* choice = std::get_if<common_peg_choice_parser>(&parser)) {
    WalkChoice(*choice);
  } else if (std::holds_alternative<common_peg_space_parser>(parser)) {
    Write("space");
  } else if (const auto* until = std::get_if<common_peg_until_parser>(&parser)) {
    // An attribute that is read over.
    is_known_ = is_known_ && until->delimiters.size() == 1 && until->delimiters[0].starts_with('<');
    Write("[^<]*");
  } else if (const auto* refused = std::get_if<common_peg_not_parser>(&parser)) {
    const auto* text = std::get_if<common_peg_literal_parser>(&arena_.get(refused->child));
    is_known_ = is_known_ && text != nullptr && !text->literal.empty();
    if (is_known_) shape_.excluded.push_back(text->literal);
  } else if (const auto* repetition = std::get_if<common_peg_repetition_parser>(&parser)) {
    // Spaces are optional in themselves.
    if (!std::holds_alternative<common_peg_space_parser>(arena_.get(repetition->child))) is_known_ = false;
    Walk(repetition->child);
  } else if (!std::holds_alternative<common_peg_and_parser>(parser)) {
    const std::vector<ParserId> children = ChildrenOf(arena_, id);
    is_known_ = is_known_ && (!children.empty() || std::holds_alternative<common_peg_epsilon_parser>(parser));
    if (is_known_) std::ranges::for_each(children, [this](ParserId child) { Walk(child); });
  }
}

void ArgumentShapeReader::WalkTag(const common_peg_tag_parser& tag) {
  const bool is_name = tag.tag == Tags::TOOL_ARG_NAME;
  if (tag.tag == Tags::TOOL_ARG_STRING_VALUE) return WalkValue(FramedArgument::Form::kText, tag.child);
  if (tag.tag == Tags::TOOL_ARG_VALUE) return WalkValue(FramedArgument::Form::kJson, tag.child);
  if (!is_name && tag.tag != Tags::TOOL_ARG && tag.tag != Tags::TOOL_ARG_OPEN && tag.tag != Tags::TOOL_ARG_CLOSE) is_known_ = false;
  in_name_ = is_name;
  Walk(tag.child);
  in_name_ = false;
}

// Of several forms of a value the last one takes any text. What reads a value as JSON before that decides what a text is.
void ArgumentShapeReader::WalkChoice(const common_peg_choice_parser& choice) {
  bool is_json_first = false;
  for (const ParserId child : choice.children) is_json_first = is_json_first || HoldsTag(arena_, child, Tags::TOOL_ARG_VALUE);
  is_known_ = is_known_ && !choice.children.empty() && !has_value_ && !in_name_;
  if (!is_known_) return;
  Walk(choice.children.back());
  if (is_json_first && shape_.form == FramedArgument::Form::kText) shape_.form = FramedArgument::Form::kJsonOrText;
}

void ArgumentShapeReader::WalkValue(FramedArgument::Form form, ParserId id) {
  is_known_ = is_known_ && !has_value_;
  has_value_ = true;
  shape_.form = form;
  if (form == FramedArgument::Form::kJson) return;
  AnyBelow(arena_, id, [this](const auto& parser) {
    if (const auto* until = std::get_if<common_peg_until_parser>(&parser)) {
      shape_.excluded.insert(shape_.excluded.end(), until->delimiters.begin(), until->delimiters.end());
    }
    return false;
  });
}

// As the library puts it into the names of rules.
std::string InRuleName(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (is_kept || !name.ends_with('-')) name += is_kept ? c : '-';
  }
  return name;
}

// The neighbouring parsers of a sequence that are all of a call's arguments.
struct ArgumentRun {
  ParserId sequence = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

class ArgumentFramer {
 public:
  ArgumentFramer(common_peg_arena& arena, FramedCalls& framed) : arena_(arena), framed_(framed) {}

  // False where its arguments can't be made out.
  bool Frame(const ChatTool& tool, std::size_t number);
  // The rules that the parsers refer to.
  const std::string& rules() const { return rules_; }

 private:
  std::optional<ParserId> RuleOf(const std::string& tool) const;
  bool IsCalled(ParserId rule, const std::string& tool) const;
  std::optional<ArgumentRun> RunOf(ParserId rule) const;
  std::string AddArguments(const std::vector<SchemaArgument>& wanted, const std::map<std::string, ArgumentShape>& shapes,
                           const std::string& separator, std::size_t number);
  std::optional<std::string> SeparatorOf(const ArgumentRun& run) const;
  void CollectArguments(ParserId id, std::map<std::string, ArgumentShape>& shapes, std::vector<ParserId>& tags, bool& is_known) const;
  bool HoldsArgument(ParserId id) const { return HoldsTag(arena_, id, Tags::TOOL_ARG); }

  common_peg_arena& arena_;
  FramedCalls& framed_;
  std::string rules_;
};

// Names of rules are made of fewer characters than those of tools, so one rule may be another tool's.
std::optional<ParserId> ArgumentFramer::RuleOf(const std::string& tool) const {
  for (const char* prefix : {"tool-", "ling3-tool-", "kimi-k3-tool-"}) {
    const std::string name = prefix + InRuleName(tool);
    if (arena_.has_rule(name) && IsCalled(arena_.get_rule(name), tool)) return arena_.get_rule(name);
  }
  return std::nullopt;
}

bool ArgumentFramer::IsCalled(ParserId rule, const std::string& tool) const {
  return AnyBelow(arena_, rule, [&](const auto& parser) {
    const auto* tag = std::get_if<common_peg_tag_parser>(&parser);
    if (tag == nullptr || tag->tag != Tags::TOOL_NAME) return false;
    const auto* name = std::get_if<common_peg_literal_parser>(&arena_.get(tag->child));
    return name != nullptr && name->literal == tool;
  });
}

std::optional<ArgumentRun> ArgumentFramer::RunOf(ParserId rule) const {
  std::optional<ArgumentRun> run;
  for (ParserId id = rule;;) {
    const auto& parser = arena_.get(id);
    const auto* tag = std::get_if<common_peg_tag_parser>(&parser);
    if (tag != nullptr && tag->tag == Tags::TOOL_ARG) return run;
    const bool is_wrapper = tag != nullptr || std::holds_alternative<common_peg_atomic_parser>(parser) ||
                            std::holds_alternative<common_peg_rule_parser>(parser) || std::holds_alternative<common_peg_ref_parser>(parser);
    const std::vector<ParserId> children = ChildrenOf(arena_, id);
    if (is_wrapper) {
      id = children.at(0);
      continue;
    }
    if (!std::holds_alternative<common_peg_sequence_parser>(parser)) return run;
    const auto holds = [this](ParserId child) { return HoldsArgument(child); };
    const auto first = std::ranges::find_if(children, holds);
    if (first == children.end()) return std::nullopt;
    std::size_t end = children.size();
    while (!holds(children[end - 1])) --end;
    const auto begin = static_cast<std::size_t>(first - children.begin());
    run = {.sequence = id, .begin = begin, .end = end};
    if (begin + 1 < end) return run;
    id = *first;
  }
}

void ArgumentFramer::CollectArguments(ParserId id, std::map<std::string, ArgumentShape>& shapes, std::vector<ParserId>& tags,
                                      bool& is_known) const {
  std::set<ParserId> seen;
  std::vector<ParserId> open = {id};
  while (!open.empty()) {
    const ParserId next = open.back();
    open.pop_back();
    if (!seen.insert(next).second) continue;
    const auto* tag = std::get_if<common_peg_tag_parser>(&arena_.get(next));
    if (tag == nullptr || tag->tag != Tags::TOOL_ARG) {
      for (const ParserId child : ChildrenOf(arena_, next)) open.push_back(child);
      continue;
    }
    tags.push_back(next);
    auto shape = ArgumentShapeReader(arena_).Read(next);
    is_known = is_known && shape;
    if (shape) shapes.emplace(shape->name, *shape);
  }
}

// What stands between two arguments.
std::optional<std::string> ArgumentFramer::SeparatorOf(const ArgumentRun& run) const {
  std::string literal;
  bool has_space = false;
  bool is_known = true;
  std::set<ParserId> seen;
  const std::vector<ParserId> children = ChildrenOf(arena_, run.sequence);
  std::vector<ParserId> open(children.begin() + static_cast<std::ptrdiff_t>(run.begin),
                             children.begin() + static_cast<std::ptrdiff_t>(run.end));
  while (!open.empty()) {
    const ParserId id = open.back();
    open.pop_back();
    const auto& parser = arena_.get(id);
    const auto* tag = std::get_if<common_peg_tag_parser>(&parser);
    if (!seen.insert(id).second || (tag != nullptr && tag->tag == Tags::TOOL_ARG)) continue;
    if (const auto* text = std::get_if<common_peg_literal_parser>(&parser)) {
      is_known = is_known && (literal.empty() || literal == text->literal);
      literal = text->literal;
    }
    has_space = has_space || std::holds_alternative<common_peg_space_parser>(parser);
    for (const ParserId child : ChildrenOf(arena_, id)) open.push_back(child);
  }
  if (!is_known) return std::nullopt;
  return (literal.empty() ? std::string() : gbnf_format_literal(literal) + " ") + (has_space ? "space " : "");
}

bool ArgumentFramer::Frame(const ChatTool& tool, std::size_t number) {
  const std::vector<SchemaArgument> wanted = ArgumentsOfSchema(tool.enforced);
  if (wanted.empty()) return true;
  const auto rule = RuleOf(tool.name);
  const auto run = rule ? RunOf(*rule) : std::nullopt;
  if (!run) return false;
  std::map<std::string, ArgumentShape> shapes;
  std::vector<ParserId> tags;
  bool is_known = true;
  std::vector<ParserId> children = ChildrenOf(arena_, run->sequence);
  for (std::size_t i = run->begin; i < run->end; ++i) CollectArguments(children[i], shapes, tags, is_known);
  const auto separator = SeparatorOf(*run);
  const auto is_there = [&shapes](const SchemaArgument& argument) { return !argument.is_required || shapes.contains(argument.name); };
  if (!is_known || !separator || !std::ranges::all_of(wanted, is_there)) return false;
  std::string first = AddArguments(wanted, shapes, *separator, number);
  // One parser stands for all of them, and for nothing that is below it.
  const ParserId place = tags.front();
  ParserId leaf = place;
  while (!ChildrenOf(arena_, leaf).empty()) leaf = ChildrenOf(arena_, leaf).front();
  arena_.get(place) = common_peg_gbnf_parser{leaf, std::move(first)};
  children.erase(children.begin() + static_cast<std::ptrdiff_t>(run->begin) + 1, children.begin() + static_cast<std::ptrdiff_t>(run->end));
  children[run->begin] = place;
  arena_.get(run->sequence) = common_peg_sequence_parser{std::move(children)};
  return true;
}

// Two rules for each: as the first one that is written, and behind others. Gives the name of the rule for all.
std::string ArgumentFramer::AddArguments(const std::vector<SchemaArgument>& wanted, const std::map<std::string, ArgumentShape>& shapes,
                                         const std::string& separator, std::size_t number) {
  std::vector<std::pair<std::string, bool>> written;  // and whether it has to be there
  for (const bool required : {true, false}) {
    for (const SchemaArgument& argument : wanted) {
      if (argument.is_required != required || !shapes.contains(argument.name)) continue;
      const ArgumentShape& shape = shapes.at(argument.name);
      framed_.arguments.push_back({.tool = number,
                                   .name = argument.name,
                                   .form = shape.form,
                                   .excluded = shape.excluded,
                                   .place = PlaceOfArgument(number, written.size())});
      written.emplace_back(shape.before + framed_.arguments.back().place + " " + shape.after, required);
    }
  }
  const auto name = [number](char kind, std::size_t at) { return fmt::format("arguments-{}-{}{}", number, kind, at); };
  for (std::size_t at = 0; at < written.size(); ++at) {
    const auto& [text, required] = written[at];
    const auto add = [&, &text = text, &required = required](char kind, const std::string& before) {
      rules_ += fmt::format("{} ::= {}{}{}", name(kind, at), before, text, name('n', at + 1));
      rules_ += required ? "\n" : fmt::format(" | {}\n", name(kind, at + 1));
    };
    add('f', {});
    add('n', separator);
  }
  for (const char kind : {'f', 'n'}) rules_ += fmt::format("{} ::= \"\"\n", name(kind, written.size()));
  return name('f', 0);
}

// A grammar knows nothing of what a parser looks ahead for: where a call is one only right before a mark, nothing may come between.
void CloseCallsAtTheirMarks(common_peg_arena& arena) {
  const auto is_awaited = [&arena](ParserId call, const std::string& mark) {
    return AnyBelow(arena, call, [&](const auto& parser) {
      const auto* ahead = std::get_if<common_peg_and_parser>(&parser);
      const auto* awaited = ahead == nullptr ? nullptr : std::get_if<common_peg_literal_parser>(&arena.get(ahead->child));
      return awaited != nullptr && awaited->literal == mark;
    });
  };
  for (ParserId id = 0; id < arena.size(); ++id) {
    const auto* sequence = std::get_if<common_peg_sequence_parser>(&arena.get(id));
    if (sequence == nullptr) continue;
    std::vector<ParserId> children = sequence->children;
    for (std::size_t at = 1; at + 1 < children.size(); ++at) {
      const auto* mark = std::get_if<common_peg_literal_parser>(&arena.get(children[at + 1]));
      if (mark == nullptr || !std::holds_alternative<common_peg_space_parser>(arena.get(children[at]))) continue;
      if (is_awaited(children[at - 1], mark->literal)) children.erase(children.begin() + static_cast<std::ptrdiff_t>(at));
    }
    arena.get(id) = common_peg_sequence_parser{std::move(children)};
  }
}

// Some formats repeat calls, whether several are asked for or not.
void LetOneCallCome(common_peg_arena& arena) {
  for (ParserId id = 0; id < arena.size(); ++id) {
    auto* repetition = std::get_if<common_peg_repetition_parser>(&arena.get(id));
    if (repetition != nullptr && repetition->max_count != 1 && HoldsTag(arena, repetition->child, Tags::TOOL_NAME))
      repetition->max_count = 1;
  }
}

}  // namespace

FramedCalls FrameArguments(const common_chat_params& params, const ChatPrompt& prompt) {
  common_peg_arena arena;
  arena.load(params.parser);
  CloseCallsAtTheirMarks(arena);
  if (!prompt.parallel_tool_calls) LetOneCallCome(arena);
  FramedCalls framed;
  ArgumentFramer framer(arena, framed);
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    const ChatTool& tool = prompt.tools[i];
    if (prompt.tool_choice.kind == ToolChoice::Kind::kFunction && tool.name != prompt.tool_choice.function) continue;
    if (!framer.Frame(tool, i)) return {};
  }
  framed.grammar = build_grammar([&](const common_grammar_builder& builder) { arena.build_grammar(builder, params.grammar_lazy); });
  framed.grammar += "\n" + framer.rules();
  return framed;
}

}  // namespace cllm
