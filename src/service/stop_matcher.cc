#include "service/stop_matcher.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/invariant.h"

namespace cllm {

StopStrings::StopStrings(const std::vector<std::string>& strings) : nodes_(1) {
  for (const std::string& string : strings) {
    State state = 0;
    for (const char byte : string) {
      const State child = Child(state, byte);
      state = child != kNone ? child : AddChild(state, byte);
    }
    nodes_[state].matched = nodes_[state].depth;
  }
  SetFallbacks();
}

StopStrings::State StopStrings::Child(State state, char byte) const {
  State child = nodes_[state].first_child;
  while (child != kNone && nodes_[child].byte != byte) child = nodes_[child].next_sibling;
  return child;
}

StopStrings::State StopStrings::AddChild(State state, char byte) {
  CheckInvariant(nodes_.size() <= std::numeric_limits<State>::max(), "stop strings are bounded before they come here");
  const auto child = static_cast<State>(nodes_.size());
  nodes_.push_back({.next_sibling = nodes_[state].first_child, .depth = static_cast<std::uint16_t>(nodes_[state].depth + 1), .byte = byte});
  nodes_[state].first_child = child;
  return child;
}

// Breadth first: a node's fallback is less deep than the node.
void StopStrings::SetFallbacks() {
  std::vector<State> order = {0};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const State parent = order[i];
    for (State child = nodes_[parent].first_child; child != kNone; child = nodes_[child].next_sibling) {
      Node& node = nodes_[child];
      if (parent != 0) node.fallback = Next(nodes_[parent].fallback, node.byte);
      node.matched = std::max(node.matched, nodes_[node.fallback].matched);
      order.push_back(child);
    }
  }
}

StopStrings::State StopStrings::Next(State state, char byte) const {
  while (true) {
    if (const State child = Child(state, byte); child != kNone) return child;
    if (state == 0) return 0;
    state = nodes_[state].fallback;
  }
}

std::string StopMatcher::Push(std::string_view text) {
  if (matched_) return {};
  if (!stops_ || stops_->empty()) return std::string(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    state_ = stops_->Next(state_, text[i]);
    const std::size_t length = stops_->matched(state_);
    if (length == 0) continue;
    matched_ = true;
    pending_ += text.substr(0, i + 1);
    found_ = pending_.substr(pending_.size() - length);
    if (!include_) pending_.resize(pending_.size() - length);
    return std::exchange(pending_, {});
  }
  pending_ += text;
  std::string decided = pending_.substr(0, pending_.size() - stops_->depth(state_));
  pending_.erase(0, decided.size());
  return decided;
}

std::string StopMatcher::Finish() { return std::exchange(pending_, {}); }

}  // namespace cllm
