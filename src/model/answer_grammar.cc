#include "model/answer_grammar.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <set>
#include <span>
#include <type_traits>
#include <utility>

#include "base/json_text.h"
#include "model/missing_ids.h"
#include "model/parser_repairs.h"
#include "model/peg_walk.h"

namespace cllm {
namespace {

using Peg = common_chat_peg_builder;

// A level takes some kilobytes of the stack (see the test of deep texts).
constexpr int kMostNesting = 64;

// The delimiters of all texts that are searched for their end below `root`.
void CollectDelimiters(const common_peg_arena& arena, common_peg_parser_id root, std::set<std::string>& delimiters) {
  AnyBelow(arena, root, [&delimiters](const auto& parser) {
    const auto* until = std::get_if<common_peg_until_parser>(&parser);
    if (until == nullptr) return false;
    for (const std::string& delimiter : until->delimiters) {
      if (!delimiter.empty()) delimiters.insert(delimiter);
    }
    return false;
  });
}

bool IsOfName(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

// Of one call, by the nodes of its tree.
struct CallNodes {
  bool has_id = false;
  bool has_arguments = false;  // something stands behind the name
  bool is_closed = false;
  std::size_t end = 0;
  std::size_t content_before = 0;
};

// What the library's mapper leaves out: how far each call is, where the last text ends, and whether it is open.
struct TreeReader {
  const std::string& text;
  ParsedAnswer& answer;
  std::vector<CallNodes> calls = {};
  CallNodes next = {};  // opened, without a name so far
  bool is_named = false;
  bool is_unknown = false;
  std::vector<std::size_t> content_before_calls = {};  // of those with one node
  bool has_tagged_arguments = false;
  std::vector<std::pair<std::string_view, bool>> arguments = {};  // and whether they go on

  CallNodes& current() { return is_named ? calls.back() : next; }
  void See(const common_peg_ast_node& node) {
    if (!node.text.empty()) answer.seen_end = std::max(answer.seen_end, node.end);
  }
  void SeeOfCall(const common_peg_ast_node& node) {
    See(node);
    current().end = std::max(current().end, node.end);
  }
  void Read(const common_peg_ast_node& node);
};

void TreeReader::Read(const common_peg_ast_node& node) {
  const bool is_content = node.tag == Peg::CONTENT;
  if (is_content || node.tag == Peg::REASONING) {
    (is_content ? answer.content : answer.reasoning) += node.sanitized_text();
    if (!is_content) answer.ends_in_reasoning = node.is_partial && node.end == text.size();
    // Before the first of its characters, what is optional in front of it may still come.
    if (node.is_partial && node.end == text.size() && !node.text.empty())
      answer.open_text = is_content ? AnswerPart::Kind::kContent : AnswerPart::Kind::kReasoning;
    return See(node);
  }
  // gpt-oss calls functions that it was not given: the library drops them.
  if (node.rule == "unsolicited" && !node.text.empty()) is_unknown = true;
  if (!node.tag.starts_with("tool")) return;
  if (node.tag == Peg::TOOL) content_before_calls.push_back(answer.content.size());
  if (node.tag == Peg::TOOL_OPEN) {
    next = {};
    is_named = false;
    return;
  }
  if (node.tag == Peg::TOOL_NAME) {
    if (!is_named) {
      calls.push_back(std::exchange(next, {}));
      calls.back().content_before = answer.content.size();
    }
    is_named = true;
    // The library takes what goes on behind a name it knows for something else where it can.
    if (node.end < text.size() && IsOfName(text[node.end])) is_unknown = true;
    return SeeOfCall(node);
  }
  if (node.tag == Peg::TOOL_CLOSE) {
    current().is_closed = true;
    return;
  }
  if (node.tag == Peg::TOOL_ID) current().has_id = true;
  if (node.tag == Peg::TOOL_ARGS && !node.text.empty()) {
    current().has_arguments = true;
    arguments.emplace_back(node.text, node.is_partial);
    SeeOfCall(node);
  }
  if (node.tag.starts_with(Peg::TOOL_ARG) && node.tag != Peg::TOOL_ARGS) {
    has_tagged_arguments = true;
    current().has_arguments = true;
    SeeOfCall(node);
  }
}

// Control characters within strings are escaped: models write line breaks there, and JSON forbids them.
std::string WithEscapedControls(std::string arguments) {
  if (std::ranges::none_of(arguments, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) return arguments;
  std::string escaped;
  bool in_string = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const char c = arguments[i];
    if (in_string && c == '\\' && i + 1 < arguments.size()) {
      escaped += c;
      escaped += arguments[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      escaped += "\\u00";
      escaped += kHex[(c >> 4) & 15];
      escaped += kHex[c & 15];
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Arguments that are no object are lost to the library, all but null.
bool AreLostArguments(std::string_view text, bool is_partial) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (text.empty() || text.front() == '{') return false;
  constexpr std::string_view kNull = "null";
  return is_partial ? !kNull.starts_with(text) : !text.starts_with(kNull);
}

common_chat_msg MapTree(common_chat_format format, const common_peg_ast_arena& tree, const common_peg_parse_result& result) {
  common_chat_msg message;
  if (format == COMMON_CHAT_FORMAT_PEG_GEMMA4) {
    common_chat_peg_gemma4_mapper(message).from_ast(tree, result);
  } else if (format == COMMON_CHAT_FORMAT_PEG_MINIMAX_M3) {
    common_chat_peg_minimax_m3_mapper(message).from_ast(tree, result);
  } else {
    common_chat_peg_mapper(message).from_ast(tree, result);
  }
  return message;
}

// These formats have one node for a call and everything in it.
std::vector<CallNodes> WholeCalls(const common_peg_ast_arena& tree, const common_peg_parse_result& result,
                                  const std::vector<common_chat_tool_call>& calls, const std::vector<std::size_t>& content_before) {
  std::vector<CallNodes> nodes;
  tree.visit(result, [&](const common_peg_ast_node& node) {
    if (node.tag != Peg::TOOL || nodes.size() >= calls.size()) return;
    nodes.push_back({.has_arguments = calls[nodes.size()].arguments.size() > 1,
                     .is_closed = !node.is_partial,
                     .end = node.end,
                     .content_before = content_before[nodes.size()]});
  });
  return nodes;
}

// False: not worth to be a call.
bool ReadCalls(const std::vector<common_chat_tool_call>& calls, const std::vector<CallNodes>& nodes, bool has_ids, ParsedAnswer& answer) {
  const bool is_closed = answer.state == ParsedAnswer::State::kClosed;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const CallNodes state = nodes.size() == calls.size() ? nodes[i] : CallNodes{};
    ParsedCall call{.id = calls[i].id,
                    .name = calls[i].name,
                    .arguments = calls[i].arguments,
                    .end = state.end,
                    .content_before = state.content_before};
    call.is_complete = state.is_closed || is_closed || i + 1 < calls.size();
    call.is_certain = call.is_complete || (state.has_arguments && (!has_ids || state.has_id));
    if (call.is_complete && (call.arguments.empty() || call.arguments == "{" || !state.has_arguments)) call.arguments = "{}";
    if (!call.is_complete && !state.has_arguments) call.arguments.clear();
    call.arguments = WithEscapedControls(std::move(call.arguments));
    if (call.is_complete && !IsJson(call.arguments)) return false;
    answer.calls.push_back(std::move(call));
  }
  return true;
}

}  // namespace

std::size_t BeginningOfDelimiter(std::string_view text, const std::vector<std::string>& delimiters) {
  std::size_t longest = 0;
  for (const std::string& delimiter : delimiters) {
    for (std::size_t size = std::min(text.size(), delimiter.size() - 1); size > longest; --size) {
      if (!text.ends_with(std::string_view(delimiter).substr(0, size))) continue;
      longest = size;
      break;
    }
  }
  return longest;
}

// Where a value begins is open, so there is a reader for each state that it may begin in: outside of strings, within one. Every byte
// leads different states to different ones, so at each place one of the readers is outside: that one counts what a value from
// there nests.
bool NestsDeeper(std::string_view text, int most, bool single_quotes) {
  struct Reader {
    char quote;  // the string that it is in, or 0
    int depth;
  };
  std::array<Reader, 3> readers = {{{'\0', 0}, {'"', 0}, {'\'', 0}}};
  const std::size_t count = single_quotes ? 3 : 2;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
      continue;
    }
    for (Reader& reader : std::span(readers).first(count)) {
      if (c == '"' || (single_quotes && c == '\'')) {
        if (reader.quote == '\0') {
          reader.quote = c;
        } else if (reader.quote == c) {
          reader.quote = '\0';
        }
      }
      if (reader.quote != '\0') continue;
      if ((c == '{' || c == '[') && ++reader.depth > most) return true;
      if ((c == '}' || c == ']') && reader.depth > 0) --reader.depth;
    }
  }
  return false;
}

AnswerGrammar::AnswerGrammar(const common_chat_params& params) : format_(params.format) {
  arena_.load(WithFormatsOfFinals(params.parser));
  // What follows the calls is content, and where it begins is known only from a parser that need not reach the end.
  for (common_peg_parser_id id = 0; id < arena_.size(); ++id) {
    if (std::holds_alternative<common_peg_end_parser>(arena_.get(id))) arena_.get(id) = common_peg_epsilon_parser{};
  }
  LetIdsBeMissing(arena_);
  Collect();
}

void AnswerGrammar::Collect() {
  std::set<std::string> content;
  std::set<std::string> reasoning;
  std::set<std::string> all;
  for (common_peg_parser_id id = 0; id < arena_.size(); ++id) {
    if (const auto* until = std::get_if<common_peg_until_parser>(&arena_.get(id))) {
      for (const std::string& delimiter : until->delimiters) {
        if (!delimiter.empty()) all.insert(delimiter);
      }
    }
    if (const auto* tag = std::get_if<common_peg_tag_parser>(&arena_.get(id))) {
      if (tag->tag == Peg::CONTENT) CollectDelimiters(arena_, tag->child, content);
      if (tag->tag == Peg::REASONING) CollectDelimiters(arena_, tag->child, reasoning);
      if (tag->tag == Peg::TOOL_ID) has_ids_ = true;
      if (tag->tag == Peg::TOOL_NAME) reads_calls_ = true;
      if (tag->tag == Peg::TOOL_ARG_NAME) reads_parameters_ = true;
    }
    const auto* string = std::get_if<common_peg_string_parser>(&arena_.get(id));
    if (string != nullptr && string->delimiter == '\'') has_single_quotes_ = true;
  }
  content_delimiters_.assign(content.begin(), content.end());
  reasoning_delimiters_.assign(reasoning.begin(), reasoning.end());
  all_delimiters_.assign(all.begin(), all.end());
}

std::size_t AnswerGrammar::UndecidedBytes(std::string_view text) const { return BeginningOfDelimiter(text, all_delimiters_); }

bool AnswerGrammar::NestsTooDeep(std::string_view text) const {
  if (format_ != COMMON_CHAT_FORMAT_PEG_GEMMA4) return NestsDeeper(text, kMostNesting, has_single_quotes_);
  // Gemma's keys hold anything, so no count of what is closed can be trusted; but a value that nests stands behind one of these.
  int nested = 0;
  char before = '\0';
  for (const char c : text) {
    if ((c == '{' || c == '[') && (before == ':' || before == ',' || before == '[' || before == '{') && ++nested > kMostNesting)
      return true;
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\v' && c != '\f') before = c;
  }
  return false;
}

ParsedAnswer AnswerGrammar::Parse(const std::string& text, bool is_whole_text) const {
  ParsedAnswer answer;
  if (NestsTooDeep(text)) return {.state = ParsedAnswer::State::kTooDeep};
  try {
    common_peg_parse_context context(text, is_whole_text ? COMMON_PEG_PARSE_FLAG_NONE : COMMON_PEG_PARSE_FLAG_LENIENT);
    const common_peg_parse_result result = arena_.parse(context);
    if (result.fail()) return answer;
    answer.state = result.success() ? ParsedAnswer::State::kClosed : ParsedAnswer::State::kOpen;
    answer.end = result.end;
    TreeReader reader{.text = context.input, .answer = answer};
    context.ast.visit(result, [&reader](const common_peg_ast_node& node) { reader.Read(node); });
    const common_chat_msg message = MapTree(format_, context.ast, result);
    const bool is_whole = format_ == COMMON_CHAT_FORMAT_PEG_GEMMA4 || format_ == COMMON_CHAT_FORMAT_PEG_MINIMAX_M3;
    const auto nodes =
        is_whole ? WholeCalls(context.ast, result, message.tool_calls, reader.content_before_calls) : std::move(reader.calls);
    const bool loses = !reader.has_tagged_arguments && !is_whole && std::ranges::any_of(reader.arguments, [](const auto& arguments) {
      return AreLostArguments(arguments.first, arguments.second);
    });
    if (reader.is_unknown || loses || !ReadCalls(message.tool_calls, nodes, has_ids_, answer)) return {};
    if (result.success()) return answer;
    answer.end = text.size();
    return answer;
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace cllm
