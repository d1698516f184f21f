// Whether one more request may be accepted: the queue is bounded, and nobody is let in who would most likely end too late.
#pragma once

#include "base/status.h"
#include "scheduler/request.h"

namespace cllm {

// How fast the queue moves. That is seen only while a request waits for a place.
class DrainRate {
 public:
  // After a step at `now` in which `starts` requests were admitted; `others_waited`: the queue wasn't empty before it.
  void Record(int starts, bool others_waited, TimePoint now);

  // Seconds per admission over about the last 30 of them; 0 where nobody has waited yet.
  double seconds_per_start() const { return starts_ > 0 ? seconds_ / starts_ : 0; }

 private:
  // Time and admissions, what is older weighing less.
  double seconds_ = 0;
  double starts_ = 0;
  TimePoint last_start_;  // the last admission, or the last step before which nobody waited
};

struct AdmissionLimits {
  int max_running = 1;
  int max_queue = 0;
};

// For one more request beside `open` that run or wait, which may take `timeout_s` seconds in all. An error is kQueueFull
// and says when to try again. The queue moves by one place in `seconds_per_start`; by Little's law that is also the time
// which a request runs, divided by how many run. So the last of n open requests ends after about n × seconds_per_start.
// `next_place_s` is when the next one that runs has most likely ended: a bound for a queue that has not moved yet, or moves in bursts.
Status CheckRoom(const AdmissionLimits& limits, int open, double seconds_per_start, double timeout_s, double next_place_s = 0);

}  // namespace cllm
