#include "engine/llamacpp/thread_controller.h"

#include <algorithm>
#include <utility>

#include "base/invariant.h"

namespace cllm {
namespace {

// A trial goes round: so many steps as before, then so many with the other number. Of nine steps in a row, by whose median the
// scheduler's StepTimeModel follows the machine's speed, at most four are the others.
constexpr int kStepsAsBefore = 3;
constexpr int kStepsOfARound = 5;

// Steps with the other number that settle a trial: few where all of them are clearly better or
// worse, some where they are so on the average; two where steps are long.
constexpr int kFewSteps = 3;
constexpr int kSomeSteps = 5;
constexpr int kLongSteps = 2;
constexpr int kEnoughSteps = 20;
constexpr double kLongTrial = 10;  // seconds
constexpr int kMostSteps = 150;    // of both kinds, where few of them count
constexpr double kClearly = 1.15;
constexpr double kPlainly = 1.4;

// What a number of threads has to reach, as a share of the slowness of the one in use. Fewer make room for
// somebody who is there, and so may be slower, by less than what is given away; where nobody is known to be there, they have to be faster.
constexpr double kMoreAreBetter = 0.95;
constexpr double kFewerAreEnough = 1.3;
constexpr double kFewerAreBetter = 0.90;

// How much of a processor others may take of those that the threads in use need, and may take of those that more would need.
constexpr double kShareToKeep = 0.55;
constexpr double kShareToGrow = 0.4;
// Seconds for which the machine has to be different before anything is tried.
constexpr double kBusyFor = 2;
constexpr double kFreeFor = 4;
constexpr double kObservationAge = 10;  // what is older says nothing

// Seconds until the next trial in the same direction after one in vain, and back after a change; longer each time.
constexpr double kFirstDelay = 5;
constexpr double kMostDelay = 30;
constexpr double kGrowth = 4;
// A trial in vain may cost this share of the time until the next one.
constexpr double kMostCost = 0.003;
constexpr double kForgottenAfter = 60;

// A trial begins in the middle of work: requests of a step or two would not end it.
constexpr double kPause = 1;

}  // namespace

void ThreadController::Arm::Add(double step_seconds, double step_expected) {
  const double step = step_seconds / step_expected;
  least = steps == 0 ? step : std::min(least, step);
  most = std::max(most, step);
  seconds += step_seconds;
  expected += step_expected;
  ++steps;
}

ThreadController::ThreadController(std::vector<int> candidates, int threads, double now)
    : candidates_(std::move(candidates)),
      threads_(threads),
      wanted_(threads),
      observed_at_(now),
      up_{.due = now, .delay = kFirstDelay},
      down_{.due = now, .delay = kFirstDelay},
      switched_at_(now - kForgottenAfter),
      delay_back_(kFirstDelay),
      ended_at_(now) {
  CheckInvariant(std::ranges::find(candidates_, threads) != candidates_.end(), "the number of threads is no candidate");
}

int ThreadController::Begin(double now) {
  if (!trial_ && is_expected_ && now - ended_at_ < kPause) {
    if (const auto other = NextToTry(now)) trial_ = Trial{.threads = *other};
  }
  begun_at_ = now;
  if (!trial_) return threads_;
  const int turn = trial_->begun_steps++ % kStepsOfARound;
  // The first step after a change of threads pays for it.
  counts_ = turn != 0 && turn != kStepsAsBefore;
  return turn < kStepsAsBefore ? threads_ : trial_->threads;
}

void ThreadController::End(double now, double expected) {
  const double seconds = now - begun_at_;
  ended_at_ = now;
  is_expected_ = expected > 0;
  if (!trial_) return;
  Trial& trial = *trial_;
  const bool is_other = (trial.begun_steps - 1) % kStepsOfARound >= kStepsAsBefore;
  trial.seconds += seconds;
  if (is_other) trial.other_seconds += seconds;
  if (counts_ && is_expected_) (is_other ? trial.other : trial.now_used).Add(seconds, expected);
  const Verdict verdict = Judge(trial, now);
  if (verdict == Verdict::kOpen) return;
  const Trial settled = *std::exchange(trial_, std::nullopt);
  verdict == Verdict::kBetter ? Switch(now, settled) : GiveUp(now, settled);
}

void ThreadController::ObserveFree(double now, double window, double free) {
  observed_at_ = now;
  const int fitting = Fitting(free);
  const int lean = fitting < threads_ ? -1 : fitting > threads_ ? 1 : 0;
  if (lean != lean_) {
    lean_since_ = now - window;
    in_vain_ = 0;
  }
  lean_ = lean;
  const bool is_settled = now - lean_since_ >= (lean < 0 ? kBusyFor : kFreeFor);
  wanted_ = is_settled ? fitting : threads_;
}

bool ThreadController::KnowsMachine(double now) const { return now - observed_at_ < kObservationAge; }

int ThreadController::Fitting(double free) const {
  for (const int threads : candidates_) {
    if (threads <= free + (threads > threads_ ? kShareToGrow : kShareToKeep)) return threads;
  }
  return candidates_.back();
}

int ThreadController::Below(int threads) const {
  const auto place = std::ranges::find(candidates_, threads) - candidates_.begin() + in_vain_;
  return candidates_[static_cast<std::size_t>(std::min(place, std::ssize(candidates_) - 1))];
}

// What others get beside this server is less than what they would like to have: where the number that seems to fit is no better, those
// below it may be.
std::optional<int> ThreadController::NextToTry(double now) const {
  if (KnowsMachine(now)) {
    if (wanted_ < threads_ && down_.due <= now) return Below(wanted_);
    if (wanted_ > threads_ && up_.due <= now) return wanted_;
    return std::nullopt;
  }
  const auto here = std::ranges::find(candidates_, threads_);
  if (here != candidates_.begin() && up_.due <= now) return *(here - 1);
  if (here + 1 != candidates_.end() && down_.due <= now) return Below(*(here + 1));
  return std::nullopt;
}

ThreadController::Verdict ThreadController::Judge(const Trial& trial, double now) const {
  const Arm& other = trial.other;
  const Arm& used = trial.now_used;
  if (trial.begun_steps >= kMostSteps) return Verdict::kNotBetter;
  if (other.steps == 0 || used.steps == 0) return Verdict::kOpen;
  const double needed = trial.threads > threads_ ? kMoreAreBetter : KnowsMachine(now) ? kFewerAreEnough : kFewerAreBetter;
  if (other.steps >= kFewSteps) {
    if (other.most * kClearly < used.least * needed) return Verdict::kBetter;
    if (used.most * needed * kClearly < other.least) return Verdict::kNotBetter;
  }
  const double reached = other.slowness() / used.slowness() / needed;
  const bool is_long = trial.seconds >= kLongTrial && other.steps >= kLongSteps;
  const bool is_plain = other.steps >= kSomeSteps && std::max(reached, 1 / reached) > kPlainly;
  if (other.steps < kEnoughSteps && !is_long && !is_plain) return Verdict::kOpen;
  return reached <= 1 ? Verdict::kBetter : Verdict::kNotBetter;
}

void ThreadController::Switch(double now, const Trial& trial) {
  const bool is_restless = now - switched_at_ < kForgottenAfter;
  delay_back_ = is_restless ? std::min(2 * delay_back_, kMostDelay) : kFirstDelay;
  switched_at_ = now;
  DirectionOf(trial.threads) = {.due = now, .delay = kFirstDelay};
  (trial.threads > threads_ ? down_ : up_) = {.due = now + delay_back_, .delay = kFirstDelay};
  threads_ = trial.threads;
  wanted_ = threads_;
  in_vain_ = 0;
  lean_ = 0;
}

void ThreadController::GiveUp(double now, const Trial& trial) {
  Direction& way = DirectionOf(trial.threads);
  way.cost += trial.other_seconds;
  if (trial.threads < threads_ && trial.threads != candidates_.back()) {
    ++in_vain_;
    return;
  }
  in_vain_ = 0;
  if (now - way.due > kForgottenAfter) way.delay = kFirstDelay;
  way.due = now + way.delay;
  way.delay = std::min(kGrowth * way.delay, std::max(kMostDelay, way.cost / kMostCost));
  way.cost = 0;
}

}  // namespace cllm
