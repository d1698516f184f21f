#include "grammar/thoughts.h"

#include <algorithm>
#include <span>
#include <utility>

namespace cllm {
namespace {

constexpr std::size_t kMostOfCharacter = 3;  // bytes of one that is not complete

// Whether the bytes end within a character of UTF-8.
bool EndsInCharacter(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min(kMostOfCharacter, bytes.size()); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back;
  }
  return false;
}

}  // namespace

ThoughtTracker::ThoughtTracker(ThoughtMarks marks) : marks_(std::move(marks)) {
  for (const std::string& end : marks_.ends) longest_end_ = std::max(longest_end_, end.size());
  const bool opens = marks_.is_open || marks_.start.empty();
  state_ = marks_.ends.empty() ? State::kDone : opens ? State::kThinks : State::kUndecided;
}

std::string ThoughtTracker::Add(std::string_view bytes) {
  if (state_ == State::kDone) return std::string(bytes);
  held_ += bytes;
  return state_ == State::kUndecided ? Begin() : LookForEnd();
}

std::string ThoughtTracker::Begin() {
  const std::string_view text = std::string_view(held_).substr(std::min(held_.find_first_not_of(" \t\r\n"), held_.size()));
  if (text.size() < marks_.start.size() && marks_.start.starts_with(text)) return {};
  if (!text.starts_with(marks_.start)) {
    state_ = State::kDone;
    return std::exchange(held_, {});
  }
  state_ = State::kThinks;
  held_ = std::string(text.substr(marks_.start.size()));
  return LookForEnd();
}

std::string ThoughtTracker::LookForEnd() {
  std::size_t first = std::string::npos;
  for (const std::string& end : marks_.ends) first = std::min(first, held_.find(end));
  if (first != std::string::npos) {
    state_ = State::kDone;
    return std::exchange(held_, {}).substr(first);
  }
  if (held_.size() >= longest_end_) held_.erase(0, held_.size() - (longest_end_ - 1));
  return {};
}

ThoughtBudget::ThoughtBudget(Settings settings, std::shared_ptr<TokenConstraint> inner)
    : settings_(std::move(settings)), inner_(std::move(inner)), tracker_(settings_.marks) {}

// Not in the middle of a character, and not against what else constrains the answer.
bool ThoughtBudget::IsDue(const TokenMask& mask) const {
  if (is_closed_ || settings_.closing.empty() || mask.is_end || !mask.forced.empty()) return false;
  const bool is_time = tracker_.thinks() && thought_tokens_ >= settings_.most_tokens && !EndsInCharacter(tail_);
  return (closed_ > 0 || is_time) && mask.Allows(settings_.closing[closed_]);
}

Result<std::optional<TokenMask>> ThoughtBudget::Next(std::chrono::microseconds patience) {
  TokenMask mask;
  if (inner_) {
    Result<std::optional<TokenMask>> next = inner_->Next(patience);
    if (!next || !*next) return next;
    mask = **next;
  }
  is_closing_ = IsDue(mask);
  // One at a time, since `inner_` has to say after each what may come.
  if (is_closing_) return TokenMask{.allowed = {}, .forced = std::span(settings_.closing).subspan(closed_, 1)};
  return mask;
}

void ThoughtBudget::Accept(std::int32_t token) {
  if (inner_) inner_->Accept(token);
  closed_ = std::exchange(is_closing_, false) ? closed_ + 1 : 0;
  is_closed_ = is_closed_ || (closed_ > 0 && closed_ == settings_.closing.size());
  const std::string bytes = settings_.bytes(token);
  if (tracker_.thinks()) ++thought_tokens_;
  tracker_.Add(bytes);
  tail_ += bytes;
  if (tail_.size() > kMostOfCharacter) tail_.erase(0, tail_.size() - kMostOfCharacter);
}

}  // namespace cllm
