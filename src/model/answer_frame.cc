#include "model/answer_frame.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/replace_all.h"

namespace cllm {
namespace {

constexpr std::string_view kRoot = "root ::= ";
constexpr std::string_view kFrameSpace = " space";
constexpr std::string_view kCalls = " tool-call";
constexpr std::string_view kRepeatedCalls = "(tool-call space)+";
constexpr std::string_view kFenced = R"("```json" space response-format space "```" | )";

// Where the rule "root" begins and ends; the end of the text twice where there is none.
std::pair<std::size_t, std::size_t> RootOf(const std::string& grammar) {
  for (std::size_t begin = 0; begin < grammar.size();) {
    const std::size_t end = std::min(grammar.find('\n', begin), grammar.size());
    if (std::string_view(grammar).substr(begin, end - begin).starts_with(kRoot)) return {begin, end};
    begin = end + 1;
  }
  return {grammar.size(), grammar.size()};
}

// Takes "until-12" or "until-12?" from the end: any text up to some mark.
bool TakeUntil(std::string_view& text) {
  std::string_view rest = text;
  if (rest.ends_with('?')) rest.remove_suffix(1);
  const std::size_t digits = rest.find_last_not_of("0123456789");
  constexpr std::string_view kUntil = " until-";
  if (digits == std::string_view::npos || digits + 1 == rest.size() || !rest.substr(0, digits + 1).ends_with(kUntil)) return false;
  text = rest.substr(0, digits + 1 - kUntil.size());
  return true;
}

}  // namespace

std::string WithWrittenEmptiness(std::string_view grammar) {
  return ReplaceAll(ReplaceAll(grammar, "::= |", "::= \"\" |"), "| )", "| \"\")");
}

std::string PlaceInFrame(std::size_t part) { return fmt::format(R"("\"@@{}@@\"")", part); }

std::string PlaceOfArgument(std::size_t tool, std::size_t argument) { return fmt::format(R"("\"@@{}.{}@@\"")", tool, argument); }

std::string FramePlaceholder(std::size_t part) { return fmt::format(R"({{"const":"@@{}@@"}})", part); }

std::string CallsAlone(const std::string& grammar, int most_calls) {
  const auto [begin, end] = RootOf(grammar);
  const std::string_view root = std::string_view(grammar).substr(begin, end - begin);
  std::string alone(root);
  if (const auto calls = root.rfind(kCalls); calls != std::string_view::npos) {
    std::string_view before = root.substr(0, calls);
    const bool has_space = before.ends_with(kFrameSpace);
    std::string_view without_space = has_space ? before.substr(0, before.size() - kFrameSpace.size()) : before;
    if (TakeUntil(without_space)) before = without_space;
    alone = std::string(before) + std::string(root.substr(calls));
  }
  const std::string all = grammar.substr(0, begin) + alone + grammar.substr(end);
  return WithWrittenEmptiness(ReplaceAll(all, kRepeatedCalls, fmt::format("(tool-call space){{1,{}}}", most_calls)));
}

std::string WithoutFences(const std::string& grammar) { return WithWrittenEmptiness(ReplaceAll(grammar, kFenced, "")); }

}  // namespace cllm
