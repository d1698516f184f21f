// Looking through llama.cpp's parsers. Inner part of AnswerGrammar and of the frames.
#pragma once

#include <chat-peg-parser.h>

#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace cllm {

inline std::vector<common_peg_parser_id> ChildrenOf(const common_peg_arena& arena, common_peg_parser_id id) {
  return std::visit(
      [&arena](const auto& parser) -> std::vector<common_peg_parser_id> {
        using Parser = std::decay_t<decltype(parser)>;
        if constexpr (requires { parser.children; }) return parser.children;
        if constexpr (requires { parser.child; }) return {parser.child};
        if constexpr (std::is_same_v<Parser, common_peg_ref_parser>) return {arena.get_rule(parser.name)};
        return {};
      },
      arena.get(id));
}

// `root` and all parsers below it, each once, until `visit` says that it has seen enough.
template <typename Visit>
bool AnyBelow(const common_peg_arena& arena, common_peg_parser_id root, const Visit& visit) {
  std::set<common_peg_parser_id> seen;
  std::vector<common_peg_parser_id> open = {root};
  while (!open.empty()) {
    const common_peg_parser_id id = open.back();
    open.pop_back();
    if (!seen.insert(id).second) continue;
    if (visit(arena.get(id))) return true;
    for (const common_peg_parser_id child : ChildrenOf(arena, id)) open.push_back(child);
  }
  return false;
}

inline bool HoldsTag(const common_peg_arena& arena, common_peg_parser_id root, const std::string& tag) {
  return AnyBelow(arena, root, [&tag](const auto& parser) {
    const auto* tagged = std::get_if<common_peg_tag_parser>(&parser);
    return tagged != nullptr && tagged->tag == tag;
  });
}

}  // namespace cllm
