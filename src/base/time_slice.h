// How long a thread runs before the system lets others of the same priority run.
#pragma once

#include <chrono>

namespace cllm {

// Asks for long time slices for this thread, and for those that it starts from now on: it computes without pause, and what wakes up
// for a moment (a thread that sends a token) shall run at once rather than when the slice ends. Its share of the processor stays the
// same. Without effect where the system has no such wish: Linux before 6.12, other policies than the usual one.
void PreferLongTimeSlices();

// Lets other threads come first from now on where there are more of them than processors: this one gets a third of what each of them gets.
// For work that nobody's next token waits for.
void StepBack();

// This thread's, where the system tells; else 0.
std::chrono::nanoseconds TimeSlice();

}  // namespace cllm
