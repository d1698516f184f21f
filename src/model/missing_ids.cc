#include "model/missing_ids.h"

#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "model/peg_walk.h"

namespace cllm {
namespace {

// Without a grammar that makes them write an id most models write none. Both become one optional parser: ", [id]" or "[id] ," →
// "[, id]" or "[id ,]". Sequences share their parsers with those that they were made of.
class IdsMayBeMissing {
 public:
  explicit IdsMayBeMissing(common_peg_arena& arena) : arena_(arena) {}

  bool Apply() {
    for (common_peg_parser_id id = 0; id < arena_.size(); ++id) {
      const auto* sequence = std::get_if<common_peg_sequence_parser>(&arena_.get(id));
      if (sequence == nullptr || made_.contains(id)) continue;
      std::vector<common_peg_parser_id> children = sequence->children;
      for (std::size_t at = 0; at < children.size(); ++at) Join(children, at);
      arena_.get(id) = common_peg_sequence_parser{std::move(children)};
    }
    return !joined_.empty();
  }

 private:
  using Ids = std::vector<common_peg_parser_id>;
  struct Joined {
    common_peg_parser_id comma;
    common_peg_parser_id space;
  };

  bool IsSpace(common_peg_parser_id id) const { return std::holds_alternative<common_peg_space_parser>(arena_.get(id)); }
  bool IsComma(common_peg_parser_id id) const {
    const auto* literal = std::get_if<common_peg_literal_parser>(&arena_.get(id));
    return literal != nullptr && literal->literal == ",";
  }
  static void Erase(Ids& children, std::size_t begin) {
    children.erase(children.begin() + static_cast<std::ptrdiff_t>(begin), children.begin() + static_cast<std::ptrdiff_t>(begin) + 2);
  }

  void Join(Ids& children, std::size_t at) {
    if (const auto joined = joined_.find(children[at]); joined != joined_.end()) {
      const auto is = [&](std::size_t i) {
        return i + 1 < children.size() && children[i] == joined->second.comma && children[i + 1] == joined->second.space;
      };
      if (at >= 2 && is(at - 2)) return Erase(children, at - 2);
      if (is(at + 2)) Erase(children, at + 2);
      return;
    }
    const auto* optional = std::get_if<common_peg_repetition_parser>(&arena_.get(children[at]));
    if (optional == nullptr || optional->min_count != 0 || optional->max_count != 1) return;
    const auto is = [&](std::size_t i) {
      return i + 2 < children.size() && IsSpace(children[i]) && IsComma(children[i + 1]) && IsSpace(children[i + 2]);
    };
    const bool is_last = at >= 3 && is(at - 3);
    if ((!is_last && !is(at + 1)) || !HoldsTag(arena_, optional->child, common_chat_peg_builder::TOOL_ID)) return;
    const std::size_t begin = is_last ? at - 3 : at + 1;
    const common_peg_parser_id space = children[begin];
    const Joined joined{.comma = children[begin + 1], .space = children[begin + 2]};
    const common_peg_parser_id own = optional->child;
    joined_.emplace(children[at], joined);
    // The second space is free for the sequence of both.
    made_.insert(joined.space);
    arena_.get(joined.space) = common_peg_sequence_parser{is_last ? Ids{joined.comma, space, own} : Ids{own, space, joined.comma}};
    arena_.get(children[at]) = common_peg_repetition_parser{joined.space, 0, 1};
    Erase(children, begin + 1);
  }

  common_peg_arena& arena_;
  std::map<common_peg_parser_id, Joined> joined_;  // by the optional parser
  std::set<common_peg_parser_id> made_;
};

}  // namespace

bool LetIdsBeMissing(common_peg_arena& arena) { return IdsMayBeMissing(arena).Apply(); }

}  // namespace cllm
