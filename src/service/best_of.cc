#include "service/best_of.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>

namespace cllm {
namespace {

// An answer without tokens is the least likely.
double MeanLogprob(const TextDelta& answer) {
  if (answer.tokens.empty()) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (const TokenText& token : answer.tokens) sum += token.token.logprob;
  return sum / static_cast<double>(answer.tokens.size());
}

}  // namespace

void BestOfSink::OnText(TextDelta delta) {
  const auto choice = static_cast<std::size_t>(delta.choice);
  if (answers_.size() <= choice) answers_.resize(choice + 1);
  answers_[choice].Append(std::move(delta));
}

std::vector<std::size_t> BestOfSink::Best(std::size_t first) const {
  std::vector<std::size_t> order(best_of_);
  std::iota(order.begin(), order.end(), first);
  std::ranges::stable_sort(order, std::greater(), [this](std::size_t answer) { return MeanLogprob(answers_[answer]); });
  order.resize(choices_);
  return order;
}

void BestOfSink::OnEnd(const GenerationEnd& end) {
  if (!end.status) return sink_->OnEnd(end);
  GenerationEnd best = end;
  best.each.clear();
  answers_.resize(end.each.size());
  for (std::size_t first = 0; first < end.each.size(); first += best_of_) {
    for (const std::size_t answer : Best(first)) {
      answers_[answer].choice = static_cast<int>(best.each.size());
      best.each.push_back(end.each[answer]);
      sink_->OnText(std::move(answers_[answer]));
    }
  }
  best.reason = best.each.front().reason;
  sink_->OnEnd(best);
}

}  // namespace cllm
