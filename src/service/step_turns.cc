#include "service/step_turns.h"

#include <algorithm>
#include <chrono>

namespace cllm {

StepTurns::Turn::Turn(Member& member, double expected_s) : member_(member) {
  if (member_.turns_ == nullptr) return;
  member_.turns_->Begin(member_, expected_s);
  began_ = member_.turns_->now_();
}

StepTurns::Turn::~Turn() {
  if (member_.turns_ == nullptr) return;
  member_.turns_->End(member_, std::chrono::duration<double>(member_.turns_->now_() - began_).count());
}

void StepTurns::Begin(Member& member, double expected_s) {
  std::unique_lock lock(mutex_);
  member.used_s_ = std::max(member.used_s_, least_used_s_);
  member.next_s_ = expected_s;
  if (is_taken_ || !waiting_.empty()) {
    waiting_.push_back(&member);
    changed_.wait(lock, [&] { return !is_taken_ && GoesNext(member); });
    waiting_.remove(&member);
  }
  is_taken_ = true;
  double least_s = member.used_s_;
  for (const Member* other : waiting_) least_s = std::min(least_s, other->used_s_);
  least_used_s_ = std::max(least_used_s_, least_s);
  member.used_s_ += member.next_s_;
}

void StepTurns::End(Member& member, double seconds) {
  const std::lock_guard lock(mutex_);
  is_taken_ = false;
  member.used_s_ += seconds - member.next_s_;
  if (!waiting_.empty()) changed_.notify_all();
}

std::size_t StepTurns::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

bool StepTurns::GoesNext(const Member& member) const {
  return *std::ranges::min_element(waiting_, {}, [](const Member* other) { return other->used_s_ + other->next_s_; }) == &member;
}

}  // namespace cllm
