// Which of several engines computes: they share the processors, one step at a time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>

#include "scheduler/request.h"

namespace cllm {

// Of those that wait, the one goes next that has computed least, so that a model of long steps takes no more time than one of short ones.
// Who comes back from doing nothing has no more claim than who has computed least of the others meanwhile. Thread safe.
class StepTurns {
 public:
  // One engine's place; outlives its turns.
  class Member {
   public:
    explicit Member(StepTurns* turns) : turns_(turns) {}  // null: it is alone
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    friend class StepTurns;
    StepTurns* const turns_;
    double used_s_ = 0;
  };

  // A step, from its beginning to its end.
  class Turn {
   public:
    // Blocks until it is the member's turn.
    explicit Turn(Member& member);
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
  void Begin(Member& member);
  void End(Member& member, double seconds);
  bool GoesNext(const Member& member) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_taken_ = false;
  double least_used_s_ = 0;     // of whoever began last
  std::list<Member*> waiting_;  // in the order of their coming
};

}  // namespace cllm
