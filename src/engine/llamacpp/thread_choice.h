// How many threads compute best, found by trying: virtual machines and containers say little of what their cores share.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

namespace cllm {

// What is worth a try with so many cores: all of them, three quarters, half, a quarter; in this order, each once.
std::vector<int> ThreadCandidates(int cores);

// The candidate with which `time_step(threads)` takes least, by the best of a few rounds in turn. Fewer threads than the first
// candidate's are chosen only where they are clearly ahead, so that noise does not change a server from start to start. Ends
// after a second and the round in progress. `candidates` is not empty; one alone is not timed.
int ChooseThreadCount(const std::vector<int>& candidates, const std::function<std::chrono::duration<double>(int threads)>& time_step);

}  // namespace cllm
