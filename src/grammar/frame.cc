#include "grammar/frame.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/replace_all.h"

namespace cllm {
namespace {

constexpr std::string_view kDefines = " ::= ";

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

// The names of the rules: each stands at the beginning of a line.
std::set<std::string_view> RuleNames(std::string_view rules) {
  std::set<std::string_view> names;
  while (!rules.empty()) {
    const std::string_view line = rules.substr(0, rules.find('\n'));
    rules.remove_prefix(std::min(line.size() + 1, rules.size()));
    std::size_t end = 0;
    while (end < line.size() && IsNameCharacter(line[end])) ++end;
    if (end > 0 && line.find(kDefines) != std::string_view::npos) names.insert(line.substr(0, end));
  }
  return names;
}

// A literal or a class of characters, up to its end.
std::size_t QuotedLength(std::string_view text) {
  const char end = text.front() == '[' ? ']' : '"';
  std::size_t length = 1;
  while (length < text.size() && text[length] != end) length += text[length] == '\\' ? 2 : 1;
  return std::min(length + 1, text.size());
}

// What stands behind a literal counts for all of it.
std::string LiteralWithTokens(std::string_view literal, std::span<const GrammarToken> tokens) {
  if (FirstToken(literal, tokens).token == nullptr) return std::string(literal);
  std::string parts;
  std::string_view rest = literal.substr(1, literal.size() - 2);
  const auto add = [&parts](std::string_view text) {
    if (!text.empty()) parts.append(" \"").append(text).append("\"");
  };
  for (TokenPlace next = FirstToken(rest, tokens); next.token != nullptr; next = FirstToken(rest, tokens)) {
    add(rest.substr(0, next.begin));
    parts += " Token(" + std::to_string(next.token->token) + ")";
    rest.remove_prefix(next.begin + next.token->text.size());
  }
  add(rest);
  return "(" + parts.substr(1) + ")";
}

}  // namespace

std::string WithPrefixedRules(std::string_view rules, std::string_view prefix) {
  const std::set<std::string_view> names = RuleNames(rules);
  std::string renamed;
  while (!rules.empty()) {
    std::size_t length = 1;
    if (rules.front() == '"' || rules.front() == '[') {
      length = QuotedLength(rules);
    } else if (IsNameCharacter(rules.front())) {
      while (length < rules.size() && IsNameCharacter(rules[length])) ++length;
      if (names.contains(rules.substr(0, length))) renamed += prefix;
    }
    renamed += rules.substr(0, length);
    rules.remove_prefix(length);
  }
  return renamed;
}

TokenPlace FirstToken(std::string_view text, std::span<const GrammarToken> tokens) {
  TokenPlace first{.begin = std::string_view::npos};
  for (const GrammarToken& token : tokens) {
    const std::size_t begin = token.text.empty() ? std::string_view::npos : text.find(token.text);
    const bool is_longer = first.token != nullptr && begin == first.begin && token.text.size() > first.token->text.size();
    if (begin < first.begin || is_longer) first = {.begin = begin, .token = &token};
  }
  return first;
}

std::string WithTokens(std::string_view rules, std::span<const GrammarToken> tokens) {
  std::vector<GrammarToken> escaped(tokens.begin(), tokens.end());
  for (GrammarToken& token : escaped) {
    for (const auto& [from, to] : {std::pair("\\", "\\\\"), std::pair("\"", "\\\""), std::pair("\n", "\\n"), std::pair("\r", "\\r")}) {
      token.text = ReplaceAll(token.text, from, to);
    }
  }
  std::string all;
  while (!rules.empty()) {
    const bool is_quoted = rules.front() == '"' || rules.front() == '[';
    const std::string_view next = rules.substr(0, is_quoted ? QuotedLength(rules) : 1);
    rules.remove_prefix(next.size());
    all += next.front() == '"' ? LiteralWithTokens(next, escaped) : std::string(next);
  }
  return all;
}

std::string EitherGrammar(std::string_view one, std::string_view other) {
  return "root ::= one-root | other-root\n" + WithPrefixedRules(one, "one-") + "\n" + WithPrefixedRules(other, "other-");
}

}  // namespace cllm
