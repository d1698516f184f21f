// Which of several engines computes: they share the processors, one step at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <utility>

#include "scheduler/request.h"

namespace cllm {

// Of those that wait, the one goes next that will have computed least after its step: a model of long steps takes no more time than one of
// short ones, and its long step comes when the others have had as much. A step counts as long as it was thought to take until it is over,
// then as long as it took. Who comes back from doing nothing has no more claim than who has computed least of the others meanwhile. Thread
// safe.
class StepTurns {
 public:
  using Now = std::function<TimePoint()>;
  explicit StepTurns(Now now = [] { return std::chrono::steady_clock::now(); }) : now_(std::move(now)) {}

  // One engine's place; outlives its turns.
  class Member {
   public:
    explicit Member(StepTurns* turns) : turns_(turns) {}  // null: it is alone
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    bool is_alone() const { return turns_ == nullptr; }

   private:
    friend class StepTurns;
    StepTurns* const turns_;
    double used_s_ = 0;
    double next_s_ = 0;  // of its step that waits or runs, as it was thought of
  };

  // A step, from its beginning to its end.
  class Turn {
   public:
    // Blocks until it is the turn of the member, whose step is thought to take so long; 0: nothing is known.
    Turn(Member& member, double expected_s);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Member& member_;
    TimePoint began_;
  };

  // Engines that wait for their turn now.
  std::size_t waiting() const;

 private:
  void Begin(Member& member, double expected_s);
  void End(Member& member, double seconds);
  bool GoesNext(const Member& member) const;

  const Now now_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_taken_ = false;
  double least_used_s_ = 0;     // of those who took part last
  std::list<Member*> waiting_;  // in the order of their coming
};

}  // namespace cllm
